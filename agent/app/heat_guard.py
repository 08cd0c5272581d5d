"""When the box is hot, cameras ask the detector less, those of the lowest priority first.

Recording is never touched: where only events are recorded, a camera that may not look is recorded
all the while. What each worker is to do is compared with what it was told last, so a
worker that starts anew, one that could not be told, and a core that starts anew while the box is
hot all end up right: nobody stays blind once it is cool. The band is kept in the run folder.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from agent.app.worker_hub import WorkerHub
from agent.core import log
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.core.errors import CameraError
from agent.health.catalogue import fault_of
from agent.health.catalogue.reasons import HEAT
from agent.health.fault import Fault
from agent.health.heat import Band, HeatJudge
from agent.settings.model import CameraSettings
from hardware.interface import Temperature

LOOK_S = 5.0
BAND_FILE = "heat-band"


class HeatGuard(Service):
    """Judges the temperatures every few seconds and retunes the workers that need it."""

    name = "heat"

    def __init__(
        self,
        hub: WorkerHub,
        temperatures: Callable[[], tuple[Temperature, ...]],
        cameras: Callable[[], tuple[CameraSettings, ...]],
        run_folder: Path,
        clock: Clock,
    ) -> None:
        super().__init__(clock)
        self._hub, self._temperatures, self._cameras = hub, temperatures, cameras
        self._file = run_folder / BAND_FILE
        self._judge = HeatJudge(begin=self._kept())
        self._told: dict[str, tuple[object, CameraSettings, bool]] = {}  # by camera: to whom, what
        self._log = log.get(self.name)

    @property
    def band(self) -> Band:
        """The band the box is in."""
        return self._judge.band

    async def run(self) -> None:
        """Look, and tell every worker that does not know yet."""
        while True:
            before, band = self.band, self._judge.judge(self._temperatures())
            if band is not before:
                self._log.warning("heat band", band=band.name, before=before.name)
                self._keep(band)
            await self.tell()
            self.progressed()
            await self._clock.sleep_s(to_tick_s(self._clock, LOOK_S))

    def tuned(self, camera: CameraSettings) -> CameraSettings:
        """Return a camera's settings as the present band allows them."""
        # Of equal priority, the first of the settings; sorting is stable.
        asking = (known for known in self._cameras() if known.detect and known.look)
        ranked = sorted(asking, key=lambda known: -known.priority)
        ids, band = [known.camera_id for known in ranked], self.band
        rank = ids.index(camera.camera_id) if camera.camera_id in ids else len(ids)
        may_ask = band.rate > 0 and rank < max(1.0, band.cameras * len(ids))
        if not may_ask:
            return replace(camera, detect=False)
        return replace(
            camera,
            detect_fps=camera.detect_fps * band.rate,
            close_look=camera.close_look and band.rate >= 1.0,  # what rests is not to be spent
        )

    def faults(self) -> Iterator[Fault]:
        """That detection is held back, when it is."""
        if self.band.rate < 1.0 or self.band.cameras < 1.0:
            name = self.band.name
            yield fault_of("board.sheds_for_heat", "detector", band=HEAT.get(name, name))

    async def tell(self) -> None:
        """Hand every worker what it does not have yet, new settings too."""
        for camera in self._cameras():
            await self._tell(camera)

    async def _tell(self, camera: CameraSettings) -> None:
        worker, wanted = self._hub.line_of(camera.camera_id), self.tuned(camera)
        is_shed = camera.detect and camera.look and not wanted.detect
        told = (worker, wanted, is_shed)
        if worker is None or self._told.get(camera.camera_id) == told:
            return
        with suppress(CameraError):  # tried again at the next look
            await self._hub.retune(wanted, is_shed=is_shed)
            self._told[camera.camera_id] = told

    def _kept(self) -> str:
        with suppress(OSError, UnicodeError):
            return self._file.read_text()
        return ""

    def _keep(self, band: Band) -> None:
        with suppress(OSError):  # a core that starts anew then finds the band by itself
            self._file.write_text(band.name)
