"""Another camera at our camera's address gets no secret, and ours is found where it is now."""

import asyncio
import http.server
import socket
import threading
from contextlib import asynccontextmanager, contextmanager

from agent.app.ptz_minder import PtzMinder
from agent.cameras import memory
from agent.commands.ptz_lease import Leases
from agent.core.clock import SystemClock
from agent.settings.model import CameraSettings
from tests.onvif_box import make_desk, settings_of
from tests.simulated_onvif import ShiftedClock, eventually, running_camera

CLOCK = SystemClock()
OPEN = {"GetEndpointReference"}  # what may be asked of anybody
STRANGER = {"serial": "SIM-0077", "mac": "02:00:5e:00:00:77", "name": "Stranger"}
WITHIN_S = 60.0


@asynccontextmanager
async def running_desk(folder, port, *cameras: CameraSettings, clock=CLOCK):
    desk = make_desk(folder, clock, port, *cameras)
    running = asyncio.create_task(desk.run())
    try:
        yield desk
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await desk.stop()


def port_of(camera):
    return int(camera.url.split(":")[2].split("/")[0])


@contextmanager
def web_server(port):
    """Something that speaks HTTP, and no ONVIF."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), _Page) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield
        finally:
            server.shutdown()
            serving.join()


class _Page(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass


def can_be_had(port):
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@asynccontextmanager
async def in_its_place(camera, *, is_silent=False, **config):
    """Have the camera move, and a stranger take its address as soon as it is free."""
    port, before = port_of(camera), camera.url
    camera.reboot(3.0, moves=True)
    await eventually(lambda: can_be_had(port))
    async with running_camera(port=port, **(STRANGER | config)) as stranger:
        if is_silent:
            for key in [k for k in stranger._operations if k[1] in OPEN]:
                del stranger._operations[key]
        await eventually(lambda: camera.url != before)
        yield stranger


async def is_known(desk):
    await eventually(lambda: (ears := desk.ears("gate")) and ears.status.is_live)


async def is_found_again(desk, folder, camera):
    def found():
        facts = desk.facts("gate")
        is_well = facts.code is None and not facts.is_exchanged
        return is_well and memory.load(folder, "gate").url == camera.url

    await eventually(found, within_s=WITHIN_S)
    await eventually(lambda: desk.ears("gate").status.is_live, within_s=WITHIN_S)
    kept = memory.load(folder, "gate")
    assert (kept.identity.serial, kept.successor) == ("SIM-0001", None)


async def test_a_stranger_at_the_old_address_gets_no_login_at_all(tmp_path, unused_tcp_port):
    async with running_camera(discovery_port=unused_tcp_port) as camera:
        async with running_desk(tmp_path, unused_tcp_port, settings_of(camera)) as desk:
            await is_known(desk)
            async with in_its_place(camera, discovery_port=unused_tcp_port) as stranger:
                await is_found_again(desk, tmp_path, camera)
        assert set(stranger.calls) <= OPEN  # nor when all lines are given back
        assert stranger.logins_seen == 0


async def test_nor_does_one_that_shows_nothing_before_a_login(tmp_path, unused_tcp_port):
    async with (
        running_camera(discovery_port=unused_tcp_port) as camera,
        running_desk(tmp_path, unused_tcp_port, settings_of(camera)) as desk,
    ):
        await is_known(desk)
        async with in_its_place(camera, is_silent=True) as stranger:
            await is_found_again(desk, tmp_path, camera)
        assert set(stranger.calls) <= OPEN
        assert stranger.logins_seen == 0


async def test_nor_does_one_that_copies_the_mac(tmp_path, unused_tcp_port, monkeypatch):
    monkeypatch.setattr("agent.cameras.recognition.mac_of", lambda _: "02005e000001")
    async with (
        running_camera(discovery_port=unused_tcp_port) as camera,
        running_desk(tmp_path, unused_tcp_port, settings_of(camera)) as desk,
    ):
        await is_known(desk)
        async with in_its_place(camera, realm="stranger") as stranger:
            await is_found_again(desk, tmp_path, camera)
        assert set(stranger.calls) <= OPEN
        assert stranger.logins_seen == 0


async def test_a_camera_is_found_when_a_web_server_took_its_address(tmp_path, unused_tcp_port):
    async with (
        running_camera(discovery_port=unused_tcp_port) as camera,
        running_desk(tmp_path, unused_tcp_port, settings_of(camera)) as desk,
    ):
        await is_known(desk)
        port = port_of(camera)
        camera.reboot(3.0, moves=True)
        await eventually(lambda: can_be_had(port))
        with web_server(port):
            await eventually(lambda: port_of(camera) != port)
            await is_found_again(desk, tmp_path, camera)


async def test_after_a_restart_it_is_asked_where_it_was_last(tmp_path, unused_tcp_port):
    async with running_camera(discovery_port=unused_tcp_port) as camera:
        settings = settings_of(camera)
        async with (
            running_desk(tmp_path, unused_tcp_port, settings) as desk,
            in_its_place_later(camera, desk, tmp_path) as stranger,
        ):
            pass
        camera._discovery.close()  # nobody finds it by looking around any more
        async with running_desk(tmp_path, unused_tcp_port, settings) as desk:
            await is_known(desk)
            assert desk.facts("gate").code is None
        assert set(stranger.calls) <= OPEN


@asynccontextmanager
async def in_its_place_later(camera, desk, folder):
    await is_known(desk)
    async with in_its_place(camera) as stranger:
        await is_found_again(desk, folder, camera)
        yield stranger


async def test_a_stranger_waits_for_a_technician_however_long(tmp_path, unused_tcp_port):
    async with running_camera() as camera:
        ours = memory.Identity(epr="urn:uuid:ours", serial="SIM-0077")
        memory.save(tmp_path, "gate", memory.CameraMemory(identity=ours))
        clock = ShiftedClock()
        async with running_desk(
            tmp_path, unused_tcp_port, settings_of(camera), clock=clock
        ) as desk:
            await eventually(lambda: desk.facts("gate").code == "camera.stranger")
            clock.shift_s = 3600.0
            asked = len(camera.calls)
            await eventually(lambda: len(camera.calls) > asked + 1)
            assert set(camera.calls) <= OPEN
            assert camera.logins_seen == 0
            desk.accept("gate")
            await eventually(lambda: desk.facts("gate").device)
            assert desk.facts("gate").is_exchanged  # until the calibration is looked at, too
            desk.accept("gate")
            await eventually(lambda: not desk.facts("gate").is_exchanged)


async def test_a_head_left_moving_is_stopped_though_its_streams_can_not_be_asked(
    tmp_path, unused_tcp_port
):
    async with running_camera() as camera:
        settings = settings_of(camera)
        for seen_before in (False, True):
            camera.faults.slow_s = {"GetStreamUri": 60.0}
            if seen_before:
                camera.faults.slow_s["GetDeviceInformation"] = 60.0
            camera.motor.move(pan=0.01)
            async with running_desk(tmp_path, unused_tcp_port, settings) as desk:
                leases = Leases(CLOCK, desk.gate, lambda: True)
                minder = PtzMinder((settings,), desk.movable_gate, leases, CLOCK)
                minding = asyncio.create_task(minder.run())
                await eventually(lambda: not camera.motor.is_moving)
                minding.cancel()
                await asyncio.gather(minding, return_exceptions=True)
            assert camera.motor.stops_total > seen_before
