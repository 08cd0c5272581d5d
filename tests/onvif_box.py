"""A box that keeps hold of one simulated camera, and a center that orders it about, for tests."""

from contextlib import asynccontextmanager

from agent.app.camera_desk import CameraDesk
from agent.app.camera_search import CameraSearch
from agent.app.worker_hub import WorkerHub
from agent.commands.camera_orders import CameraOrders
from agent.commands.ptz import PtzHandler, gates_for_orders
from agent.commands.relay import RelayHandler
from agent.contract.commands import Actor
from agent.core.component import Service
from agent.pole.heard_bells import HeardBells
from agent.settings.model import CameraSettings
from agent.simulators.broker import CENTER
from agent.simulators.center.commander import public_keys_file
from tests.brokers import Mosquitto
from tests.simulated_onvif import PASSWORD, USERNAME, eventually
from tests.spine import ADDRESS, Box, make_center, running

KIM = Actor(user="kim", role="operator", agency="city")
LEE = Actor(user="lee", role="officer", agency="police")
CARE = ("camera.osd", "camera.masks", "camera.encoder", "camera.password", "camera.care")


def settings_of(device, **others) -> CameraSettings:
    login = {"username": USERNAME, "password": PASSWORD} | others
    return CameraSettings(camera_id="gate", onvif_url=device.url, **login)


class Deskwork(Service):
    """The desk as a component of a box."""

    name = "desk"

    def __init__(self, desk, clock):
        super().__init__(clock)
        self.desk = desk

    async def run(self):
        try:
            await self.desk.run()
        finally:
            await self.desk.stop()


def make_desk(folder, clock, port, *cameras, take=None):
    async def nothing(*_):
        return None

    return CameraDesk(
        cameras,
        WorkerHub(folder / "core.sock", clock, nothing, lambda _: None),
        clock,
        data_dir=folder,
        take=take or nothing,
        bells=HeardBells(clock, nothing),
        search=CameraSearch(clock, interfaces=lambda: ("127.0.0.1",), port=port),
    )


class Station:
    """Box, desk and center together; `noted` is what was audited beside the orders."""

    def __init__(self, center, box, desk, noted):
        self.center, self.box, self.desk, self.noted = center, box, desk, noted

    async def order(self, args, by=KIM):
        return [reply async for reply in self.center.command(ADDRESS, args, by)][-1]


@asynccontextmanager
async def station(folder, device, port, **others):
    broker = Mosquitto(folder / "broker", [ADDRESS])
    await broker.start()
    box = Box(folder, broker.settings("box-1"), keys_file=public_keys_file(folder))
    desk = make_desk(folder, box.clock, port, settings_of(device, **others))
    box.others.append(Deskwork(desk, box.clock))
    gates, noted = gates_for_orders(desk.gate), []
    box.leases._gate_of = gates

    async def note(*entry):
        noted.append(entry)

    register = box.commands.register
    care = CameraOrders(gates, desk, box.leases, box.clock)
    for op in CARE:
        register(op, care, idempotent=False, deadline_s=60.0)
    ptz = PtzHandler(gates, box.leases, note)
    register("ptz.move", ptz, idempotent=False, lasts=True)
    register("ptz.lease", box.leases.lease, idempotent=False, deadline_s=150, lasts=True)
    register("ptz.release", box.leases.release, idempotent=True)
    register("relay", RelayHandler(desk.relays), idempotent=True)
    try:
        async with running(make_center(folder, broker.settings(CENTER))) as center, running(box):
            await eventually(lambda: (f := desk.facts("gate")) and f.device)
            yield Station(center, box, desk, noted)
    finally:
        await broker.stop()
