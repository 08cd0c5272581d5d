"""When the box is hot, cameras ask the detector less, the last of the settings first.

Recording is never touched. A worker that starts anew comes with its full settings, so what is held
back is said again now and then.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress

from msgspec.structs import replace

from agent.app.worker_hub import WorkerHub
from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.errors import CameraError
from agent.health.catalogue import fault_of
from agent.health.fault import Fault
from agent.health.heat import Band, HeatJudge
from agent.settings.model import CameraSettings
from hardware.interface import Temperature

LOOK_S, SAY_AGAIN_S = 5.0, 30.0


class HeatGuard(Service):
    """Judges the temperatures every few seconds and retunes the workers when the band changes."""

    name = "heat"

    def __init__(
        self,
        hub: WorkerHub,
        temperatures: Callable[[], tuple[Temperature, ...]],
        cameras: Callable[[], tuple[CameraSettings, ...]],
        clock: Clock,
    ) -> None:
        super().__init__(clock)
        self._hub, self._temperatures, self._cameras = hub, temperatures, cameras
        self._judge, self._told_s = HeatJudge(), 0.0
        self._log = log.get(self.name)

    @property
    def band(self) -> Band:
        """The band the box is in."""
        return self._judge.band

    async def run(self) -> None:
        """Look, and tell the workers when something changed."""
        while True:
            before, band = self.band, self._judge.judge(self._temperatures())
            is_due = self._is_holding and self._clock.monotonic_s() - self._told_s >= SAY_AGAIN_S
            if band is not before:
                self._log.warning("heat band", band=band.name, before=before.name)
            if band is not before or is_due:
                await self._tell()
            self.progressed()
            await self._clock.sleep_s(LOOK_S)

    def tuned(self, camera: CameraSettings) -> CameraSettings:
        """Return a camera's settings as the present band allows them."""
        cameras = [known.camera_id for known in self._cameras()]
        rank = cameras.index(camera.camera_id) if camera.camera_id in cameras else len(cameras)
        band = self.band
        may_ask = band.rate > 0 and rank < max(1.0, band.cameras * len(cameras))
        if not may_ask:
            return replace(camera, detect=False)
        return replace(camera, detect_fps=camera.detect_fps * band.rate)

    def faults(self) -> Iterator[Fault]:
        """That detection is held back, when it is."""
        if self._is_holding:
            yield fault_of("board.sheds_for_heat", "detector", band=self.band.name)

    @property
    def _is_holding(self) -> bool:
        return self.band.rate < 1.0 or self.band.cameras < 1.0

    async def _tell(self) -> None:
        self._told_s = self._clock.monotonic_s()
        for camera in self._cameras():
            with suppress(CameraError):  # told again when it is there
                await self._hub.retune(self.tuned(camera))
