"""A core killed with -9 while a camera moves for it: the next one stops it, on a full disk, too."""

import asyncio
from contextlib import suppress

import msgspec
import psutil
import pytest

from agent.cameras.port import CameraFailure, Login
from agent.cameras.zeep_backend import ZeepCamera
from agent.contract.commands import Actor
from agent.contract.ptz_args import PtzMove
from agent.core.clock import SystemClock
from agent.simulators.broker import CENTER
from tests.box_process import HOST, BoxProcess, CameraProcess, camera_in, faults_in
from tests.brokers import Mosquitto
from tests.faults.crash_lab import disk
from tests.faults.test_reserve import fill
from tests.footage_maker import make_clip
from tests.spine import ADDRESS, eventually, make_center, running

KIM = Actor(user="kim", role="operator", agency="city", case="c-1")
DISK_BYTES = 64 * 1024 * 1024
MOVES = PtzMove(camera_id="gate", pan=0.02, timeout_s=10, purpose="119")  # it leases for itself
IGNORES_TIMEOUT = '{"onvif": {"ignores_move_timeout": true}}'  # a Stop alone stops it
LOOK_S = 0.2


@pytest.fixture
def small_disk(tmp_path):
    with disk.tmpfs(tmp_path / "disk", f"size={DISK_BYTES}") as folder:
        yield folder


def tells_of_it(state):
    return ("camera.not_recorded", "gate") in faults_in(state)


def is_well(state):
    return camera_in(state, "gate")["is_recording"] and not tells_of_it(state)


class Scene:
    def __init__(self, box, center, eye):
        self.box, self.center, self.eye = box, center, eye

    def core(self):
        for process in psutil.Process(self.box.process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if "agent.app.core_process" in " ".join(process.cmdline()):
                    return process
        return None

    async def moves(self, is_moving=True):
        """Say whether somebody else sees the camera move."""
        await asyncio.sleep(LOOK_S)
        try:
            return (await asyncio.to_thread(self.eye.position)).is_moving is is_moving
        except CameraFailure:
            return False

    async def stands(self):
        return await self.moves(is_moving=False)

    async def move(self):
        """Order moves until the camera moves: a box that starts may not hear the first one."""

        async def order():
            async for _ in self.center.command(ADDRESS, MOVES, KIM):
                pass

        while not await self.moves():
            ordering = asyncio.create_task(order())
            for _ in range(20):
                if ordering.done() or await self.moves():
                    break
            ordering.cancel()
            await asyncio.gather(ordering, return_exceptions=True)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "kills",
    [
        pytest.param((False, False, False), id="with room", marks=pytest.mark.long),
        pytest.param((False, True, True), id="full"),
    ],
)
async def test_the_next_core_stops_the_camera_and_moves_it_again(tmp_path, small_disk, kills):
    clip, faults = make_clip(tmp_path / "clip.mp4", fps=5, seconds=4), tmp_path / "faults.json"
    faults.write_text(IGNORES_TIMEOUT)
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    link = msgspec.to_builtins(broker.settings(ADDRESS.box))
    try:
        async with running(make_center(tmp_path / "center", broker.settings(CENTER))) as center:
            camera = CameraProcess(
                *(tmp_path, "gate", clip, clip), ptz=True, faults_file=str(faults)
            )
            url = f"http://{HOST}:{camera.onvif_port}/onvif/device_service"
            login = Login(camera.username, camera.password)
            told = {
                "data_dir": str(small_disk / "data"),
                "site": ADDRESS.site,
                "box": ADDRESS.box,
                "broker": {key: value for key, value in link.items() if value is not None},
                "center": {"keys_file": str(tmp_path / "center" / "center-keys.json")},
                "cameras": [camera.settings("gate", onvif_url=url, detect=False)],
                "buffer": {"min_free_bytes": 0},
            }
            with camera, BoxProcess(tmp_path, told) as box:
                eye = ZeepCamera(url, login, SystemClock())
                here = Scene(box, center, eye)
                await asyncio.to_thread(box.until_said, "camera known", 90.0)
                for is_full in kills:
                    await here.move()
                    if is_full:
                        fill(small_disk)
                    here.core().kill()
                    assert await here.moves()  # nobody else stops it
                    await eventually(here.stands)
                await here.move()
                if is_full:
                    await asyncio.to_thread(box.until, tells_of_it)
                    (small_disk / "ballast").unlink()
                    await asyncio.to_thread(box.until, is_well)
                eye.close()
            assert "login refused" not in camera.said()
            assert "wrong_password" not in box.said()
    finally:
        await broker.stop()
