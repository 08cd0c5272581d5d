"""In the heat the cameras of least priority stop asking first; when it is cool all ask again."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from agent.app.heat_guard import HeatGuard
from agent.core.errors import CameraError
from agent.settings.model import CameraSettings
from hardware.interface import Temperature
from tests.fake_clock import FakeClock

FULL, HELD = (True, 4.0), (False, 4.0)


def cameras(*priorities):
    return tuple(
        CameraSettings(
            camera_id=f"cam-{number}", main_url="rtsp://camera/", detect_fps=4.0, priority=priority
        )
        for number, priority in enumerate(priorities)
    )


class Workers:
    """Stands for the hub: keeps what each worker was told last, and counts."""

    def __init__(self):
        self.told, self.times, self.away = {}, 0, False
        self.line, self.shed = object(), set()

    def line_of(self, _camera_id):
        return self.line

    async def retune(self, camera, *, is_shed):
        if self.away:
            raise CameraError("camera.worker_silent", "The worker does not answer.")
        assert camera.record
        self.shed = {*self.shed, camera.camera_id} if is_shed else self.shed - {camera.camera_id}
        self.told[camera.camera_id] = (camera.detect, camera.detect_fps)
        self.times += 1


class Box:
    """A guard that can be started anew, beside workers that stay."""

    def __init__(self, folder, *priorities):
        self.clock, self.workers, self.celsius = FakeClock(), Workers(), 40.0
        self.folder, self.cameras = folder, cameras(*priorities)

    @asynccontextmanager
    async def core(self):
        guard = HeatGuard(
            self.workers, self._temperatures, lambda: self.cameras, self.folder, self.clock
        )
        task = asyncio.ensure_future(guard.run())
        await self.clock.advance(1.0)
        yield guard
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def at(self, celsius):
        """Have it so warm for ten seconds; return what the workers do then."""
        self.celsius = celsius
        await self.clock.advance(10.0)
        return list(self.workers.told.values())

    def _temperatures(self):
        if self.celsius is None:
            return ()
        return (Temperature("cpu", self.celsius, 100.0, slows_c=100.0),)


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path, 5, 5, 5, 5)


async def test_detection_is_shed_by_rate_then_by_camera_and_recording_never(box):
    async with box.core() as guard:
        seen = {}
        for celsius in (86.0, 91.0, 94.0, 97.0, 40.0):
            told = await box.at(celsius)
            seen[guard.band.name] = told
    assert seen["warm"] == [(True, 2.0)] * 4
    assert seen["hot"] == [(True, 1.0)] * 4
    assert seen["very-hot"] == [(True, 1.0)] * 2 + [HELD] * 2  # of equals the first stay
    assert seen["critical"] == [HELD] * 4
    assert seen["normal"] == [FULL] * 4


async def test_in_heat_nobody_is_looked_at_closer(box):
    far = replace(box.cameras[0], close_look=True)
    async with box.core() as guard:
        assert guard.tuned(far).close_look
        await box.at(86.0)
        assert not guard.tuned(far).close_look
        await box.at(40.0)
        assert guard.tuned(far).close_look


async def test_the_cameras_of_the_highest_priority_keep_their_detection_longest(tmp_path):
    box = Box(tmp_path, 5, 9, 1, 7)
    async with box.core():
        assert await box.at(94.0) == [HELD, (True, 1.0), HELD, (True, 1.0)]


async def test_a_camera_that_asks_nothing_takes_no_other_ones_place(tmp_path):
    box = Box(tmp_path, 9, 8, 5, 4)  # the last is the one that is shed
    first, second, *others = box.cameras
    box.cameras = (replace(first, detect=False), replace(second, look=False), *others)
    async with box.core():
        assert (await box.at(94.0))[2:] == [(True, 1.0), HELD]
        assert box.workers.shed == {"cam-3"}  # what detects nothing anyway is recorded as before
        await box.at(40.0)
        assert box.workers.shed == set()


async def test_a_worker_is_told_once_and_one_that_started_anew_is_told_again(box):
    async with box.core():
        await box.at(91.0)
        told = box.workers.times
        await box.clock.advance(600.0)
        assert box.workers.times == told
        box.workers.line = object()  # others on the line
        await box.clock.advance(10.0)
        assert box.workers.times == told + 4


async def test_a_worker_that_could_not_be_told_when_it_cooled_is_not_left_blind(box):
    async with box.core():
        assert await box.at(97.0) == [HELD] * 4
        box.workers.away = True
        assert await box.at(40.0) == [HELD] * 4
        box.workers.away = False
        assert await box.at(40.0) == [FULL] * 4


async def test_what_cooled_while_the_core_was_away_is_not_left_blind(box):
    async with box.core():
        assert await box.at(97.0) == [HELD] * 4
    async with box.core():
        assert await box.at(40.0) == [FULL] * 4


async def test_a_core_that_starts_anew_in_the_heat_with_a_dead_sensor_goes_on_as_before(box):
    async with box.core():
        await box.at(97.0)
    box.celsius = None
    async with box.core() as guard:
        assert await box.at(None) == [HELD] * 4
        (fault,) = guard.faults()
        assert fault.code == "board.sheds_for_heat"
        assert guard.band.name not in fault.sentence_ko
