"""A head nobody holds: stopped at start, home after a lease, on its tour; never into a sector."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from agent.app.ptz_minder import PtzMinder
from agent.cameras.gate import CameraGate
from agent.cameras.port import CameraNotSupported, Place
from agent.cameras.ptz_sectors import Sector, Sectors
from agent.commands.ptz_key import KeyOffer
from agent.commands.ptz_lease import Leases
from agent.commands.ptz_orders import PtzOrders
from agent.contract.commands import Actor, Command
from agent.contract.ptz import PtzStep
from agent.contract.ptz_args import (
    PtzAux,
    PtzGoto,
    PtzImaging,
    PtzLease,
    PtzPlace,
    PtzPresets,
    PtzRelease,
)
from agent.core.clock import SystemClock
from agent.core.errors import CommandError
from agent.core.ids import new_ulid
from agent.settings.model import CameraSettings
from agent.settings.ptz import PtzSettings, TourStop
from agent.simulators.camera.ptz_motor import MotorPosition
from tests.simulated_onvif import control_of, eventually, running_camera

CLOCK = SystemClock()
KIM, LEE = Actor(user="kim"), Actor(user="lee")


class Rig:
    def __init__(self, camera, sectors):
        self.camera = camera
        self.gate = CameraGate(
            lambda: control_of(camera, call_s=10.0), CLOCK, sectors=Sectors(sectors)
        )
        self.is_linked = True
        self.leases = Leases(CLOCK, lambda _: self.gate, lambda: self.is_linked)
        self.orders = PtzOrders(lambda _: self.gate, self.leases, CLOCK)
        self.told = []

    def command(self, args, by=KIM):
        at = CLOCK.utc_now()
        return Command(id=new_ulid(at), args=args, box="b", by=by, iat=0, nbf=0, exp=0, iss="c")

    async def order(self, args, by=KIM):
        return await self.orders(self.command(args, by), None)

    @asynccontextmanager
    async def leased(self, by=KIM, **asked):
        """Hold the camera; yields what was told at the grant."""
        granted = asyncio.get_running_loop().create_future()

        async def progress(_, answer=None):
            if granted.done():
                self.told.append(answer)
            else:
                granted.set_result(answer)

        args = PtzLease(camera_id="gate", key=KeyOffer().public, **asked)
        run = asyncio.create_task(self.leases.lease(self.command(args, by), progress))
        answer = await granted
        yield answer
        await self.leases.release(self.command(PtzRelease(lease=answer["lease"])), None)
        self.told.append((await run)["ended"])

    @asynccontextmanager
    async def minded(self, **ptz):
        camera = CameraSettings(camera_id="gate", onvif_url=self.camera.url, ptz=PtzSettings(**ptz))
        minder = PtzMinder((camera,), lambda _: self.gate, self.leases, CLOCK)
        task = asyncio.create_task(minder.run())
        try:
            yield minder
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def pan(self):
        return self.camera.motor.position().pan


@asynccontextmanager
async def rig_of(*sectors):
    async with running_camera() as camera:
        rig = Rig(camera, sectors)
        try:
            yield rig
        finally:
            await rig.gate.close()


async def test_a_camera_left_moving_by_the_last_run_is_stopped_at_start():
    async with rig_of() as rig:
        rig.camera.motor.move(pan=0.1)
        async with rig.minded():
            await eventually(lambda: not rig.camera.motor.is_moving)
        assert rig.camera.motor.stops_total


async def test_after_a_lease_it_goes_home():
    async with rig_of() as rig, rig.minded():
        async with rig.leased():
            await rig.order(PtzGoto(camera_id="gate", to=PtzPlace(pan=0.2, tilt=0.1)))
            await eventually(lambda: rig.pan() == pytest.approx(0.2, abs=1e-3))
        await eventually(lambda: rig.pan() == 0.0 and "GotoHomePosition" in rig.camera.calls)


async def test_the_tour_gives_way_to_a_lease_and_goes_on_after_it():
    async with rig_of() as rig:
        rig.camera.head._kept["2"] = ("east", MotorPosition(pan=0.3))
        tour = (TourStop(preset="1", dwell_s=2), TourStop(preset="2", dwell_s=2))
        async with rig.minded(home="", tour=tour):
            await eventually(lambda: rig.pan() > 0)
            async with rig.leased() as answer:
                assert answer["preempted"] == "tour"
                await eventually(lambda: not rig.camera.motor.is_moving)
                tours = rig.camera.calls.count("GotoPreset")
                await asyncio.sleep(2.2)
                assert rig.camera.calls.count("GotoPreset") == tours
            await eventually(lambda: rig.camera.calls.count("GotoPreset") > tours)


async def test_only_the_holder_may_order_and_everybody_may_look():
    async with rig_of() as rig:
        goto = PtzGoto(camera_id="gate", home=True)
        with pytest.raises(CommandError) as caught:
            await rig.order(goto)
        assert caught.value.code == "ptz.no_lease"
        async with rig.leased():
            with pytest.raises(CommandError) as caught:
                await rig.order(goto, LEE)
            assert caught.value.code == "ptz.taken"
            listed = await rig.order(PtzPresets(camera_id="gate"), LEE)
            assert [one["preset"] for one in listed["presets"]] == ["1", "2"]
            assert (await rig.order(goto))["outcome"] == "sent"
            await rig.order(PtzAux(camera_id="gate", what="ir-lamp", state="auto"))
            with pytest.raises(CameraNotSupported):
                await rig.order(PtzAux(camera_id="gate", what="washer", state="on"))
            done = await rig.order(PtzImaging(camera_id="gate", ir_cut="off", focus="near"))
            assert done["changed"] == [{"name": "ir_cut", "asked": "OFF", "got": "OFF"}]
            assert rig.camera.imaging.focus == 0.0
            kept = await rig.order(PtzPresets(camera_id="gate", action="set", name="gate"))
            await rig.order(PtzPresets(camera_id="gate", action="remove", preset=kept["preset"]))
        assert rig.told == ["released"]


async def test_a_move_is_stopped_before_a_forbidden_sector():
    async with rig_of(Sector(pan_from=0.5)) as rig:
        rig.camera.faults.ignores_move_timeout = True
        await rig.gate.move(1.0, 0.0, 0.0, 30.0)
        await eventually(lambda: not rig.camera.motor.is_moving)
        assert 0.0 < rig.pan() < 0.75
        await rig.gate.go(lambda head: head.goto(Place(0.0, 0.0)))
        await eventually(lambda: rig.pan() == 0.0)


async def test_the_holder_is_told_of_a_sector_it_was_stopped_at_or_steered_into():
    async with rig_of(Sector(pan_from=0.5)) as rig:
        async with rig.leased() as answer:
            lease = rig.leases._by_camera["gate"]
            told = {"lease": answer["lease"], "code": "ptz.forbidden"}
            await rig.gate.move(1.0, 0.0, 0.0, 30.0)
            await eventually(lambda: told in rig.told)
            rig.camera.motor.goto(MotorPosition(pan=0.6))
            await eventually(lambda: rig.pan() == pytest.approx(0.6, abs=1e-3))
            for _ in range(3):  # a held joystick is one news, not one for each step
                await rig.leases._move(lease, PtzStep(seq=1, pan=1.0))
            await eventually(lambda: len(rig.told) == 2)
        assert rig.told == [told, told, "released"]


async def test_deeper_into_a_sector_is_refused_and_out_of_it_is_not():
    async with rig_of(Sector(pan_from=0.1)) as rig:
        rig.camera.motor.goto(MotorPosition(pan=0.2))
        await eventually(lambda: not rig.camera.motor.is_moving)
        with pytest.raises(CommandError) as caught:
            await rig.gate.move(1.0, 0.0, 0.0, 5.0)
        assert caught.value.code == "ptz.forbidden"
        await rig.gate.move(-1.0, 0.0, 0.0, 0.5)
        await eventually(lambda: rig.pan() < 0.2)


async def test_a_preset_whose_place_is_untold_is_watched_on_its_way():
    async with rig_of(Sector(pan_from=0.4)) as rig:
        rig.camera.faults.omits_optional = True
        rig.camera.head._kept["2"] = ("east", MotorPosition(pan=1.0))
        await rig.gate.go(lambda head: head.goto_preset("2"))
        await eventually(lambda: not rig.camera.motor.is_moving)
        assert rig.pan() < 1.0


async def test_a_lease_of_a_camera_that_dies_ends_all_the_same():
    async with rig_of() as rig:
        await rig.gate.facts()
        async with rig.leased():
            rig.camera.faults.fault_status = 500
        assert rig.told == ["released"]
        rig.camera.faults.fault_status = 0
