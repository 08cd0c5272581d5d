"""A box on a small disk with one camera and a bell, its broker, and a center that hears it."""

import asyncio
from contextlib import asynccontextmanager

from agent.app.run_dir import run_dir
from agent.contract.events import EventKind, Phase
from agent.contract.topics import BoxAddress
from agent.core.clock import SystemClock
from agent.settings.model import Settings
from tests.box_process import HOST, BoxProcess, CameraProcess, camera_in, faults_in
from tests.brokers import Mosquitto
from tests.faults.crash_lab import disk
from tests.footage_maker import make_clip
from tests.spine import make_center, running

PATIENCE_S = 90.0
CLOCK = SystemClock()


class BellBox:
    """`box` runs inside `with bell_box.box:`, as often as one likes; `data_dir` is its disk."""

    def __init__(self, folder, data_dir, camera, broker, center):
        self.data_dir, self._center = data_dir, center
        bell = {"input_id": "bell", "meaning": "bell", "line": "bell", "active_low": False}
        settings = {
            "box": "box-1",
            "broker": {
                "urls": [f"mqtt://{HOST}:{broker.port}"],
                "username": "box-1",
                "password": "secret-box-1",
            },
            "cameras": [camera.settings("gate", detect=False, look=False)],
            "buffer": {"segment_s": 2.0, "min_free_bytes": 0},
            "pole": {"inputs": [bell]},
        }
        self.box = BoxProcess(folder, settings)

    async def until(self, is_so):
        return await asyncio.to_thread(self.box.until, is_so, PATIENCE_S)

    async def heard(self, times):
        """Press the bell, and wait until the center has heard so many presses."""
        lines = run_dir(Settings(data_dir=str(self.data_dir))) / "lines"
        lines.mkdir(exist_ok=True)
        (lines / "bell").write_text("1")
        async with asyncio.timeout(PATIENCE_S):
            while len([s for s in await self._center.events() if _is_press(s.event)]) < times:
                await CLOCK.sleep_s(0.3)
        (lines / "bell").write_text("0")


@asynccontextmanager
async def bell_box(folder, tmpfs_options):
    """Yield the box, not yet running, with all that is around it."""
    clip = make_clip(folder / "main.mp4", seconds=4, size_px=(160, 120))
    camera = CameraProcess(folder, "gate", clip, clip)
    broker = Mosquitto(folder / "broker", [BoxAddress("site-1", "box-1")])
    with disk.tmpfs(folder / "box", tmpfs_options) as data_dir, camera:
        await broker.start()
        try:
            center = make_center(folder / "center", broker.settings("center"))
            async with running(center):
                yield BellBox(folder, data_dir, camera, broker, center)
        finally:
            await broker.stop()


def is_recording(state):
    return camera_in(state, "gate")["is_recording"]


def is_told_of(code, camera_id):
    return lambda state: (code, camera_id) in faults_in(state)


def _is_press(event):
    return event.data.kind is EventKind.EMERGENCY_BELL and event.phase is Phase.NEW
