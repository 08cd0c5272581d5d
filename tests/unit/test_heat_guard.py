"""In the heat the last cameras stop asking first, and all of them ask again when it is cool."""

import asyncio

from agent.app.heat_guard import HeatGuard
from agent.settings.model import CameraSettings
from hardware.interface import Temperature
from tests.fake_clock import FakeClock

CAMERAS = tuple(
    CameraSettings(camera_id=f"cam-{number}", main_url="rtsp://camera/", detect_fps=4.0)
    for number in range(4)
)


class Workers:
    """Stands for the hub: keeps what each worker was told last, and counts."""

    def __init__(self):
        self.told, self.times = {}, 0

    async def retune(self, camera):
        self.told[camera.camera_id] = (camera.detect, camera.detect_fps, camera.record)
        self.times += 1


async def test_detection_is_shed_by_rate_then_by_camera_and_recording_never():
    clock, workers, celsius = FakeClock(), Workers(), [40.0]
    guard = HeatGuard(
        workers, lambda: (Temperature("cpu", celsius[0], 100.0),), lambda: CAMERAS, clock
    )
    task = asyncio.ensure_future(guard.run())
    await clock.advance(60.0)
    assert workers.times == 0  # nothing to say while all is normal
    seen = {}
    for celsius[0] in (86.0, 91.0, 94.0, 97.0, 40.0):
        await clock.advance(10.0)
        seen[guard.band.name] = [(detect, fps) for detect, fps, _ in workers.told.values()]
        assert all(record for _, _, record in workers.told.values())
    assert seen["warm"] == [(True, 2.0)] * 4
    assert seen["hot"] == [(True, 1.0)] * 4
    assert seen["very-hot"] == [(True, 1.0)] * 2 + [(False, 4.0)] * 2
    assert seen["critical"] == [(False, 4.0)] * 4
    assert seen["normal"] == [(True, 4.0)] * 4
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_worker_that_started_anew_is_told_again():
    clock, workers = FakeClock(), Workers()
    guard = HeatGuard(workers, lambda: (Temperature("cpu", 91.0, 100.0),), lambda: CAMERAS, clock)
    task = asyncio.ensure_future(guard.run())
    await clock.advance(1.0)
    first = workers.times
    await clock.advance(65.0)
    assert (first, workers.times) == (4, 12)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
