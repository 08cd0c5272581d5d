"""One camera's picture health, wired: frames in, findings out, the baseline kept in its folder.

Called by the sub stream's thread through the eyes. What holds is said again every few seconds, so
the core hears of it whenever it listens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import av
import numpy as np

from agent.contract.events import MAX_THUMBNAIL_BYTES
from agent.core import log
from agent.core.clock import Clock, utc_at
from agent.core.ids import new_ulid
from agent.detect.motion import luma_of
from agent.detect.picture_health import PictureHealth
from agent.detect.picture_health_baseline import load, save
from agent.detect.picture_health_features import WIDTH_PX
from agent.detect.picture_health_persistence import PictureChange
from agent.ingest.jpeg import encode_jpeg
from agent.messages.picture import PictureFinding, PictureKind, PictureTrouble
from agent.messages.vision import HitState
from agent.settings.model import CameraSettings

CONFIRM_EVERY_S = 10.0
SAVE_EVERY_S = 1800.0
_GREY_WITHIN = 3  # chroma steps from neutral; infrared pictures have none at all

FindingSink = Callable[[PictureFinding], None]


@dataclass(frozen=True, slots=True)
class _Open:
    """A fault that was told: its id, and the picture of the moment it began."""

    finding_id: str
    began_s: float
    detail: str
    jpeg: bytes
    width_px: int
    height_px: int


class PictureWatch:
    """Looks at the picture itself now and then. `troubles` may be read from any thread.

    `fixed`: the camera can't turn by itself; of one that can (PTZ), a turned view is no fault.
    """

    def __init__(
        self,
        camera: CameraSettings,
        folder: Path,
        on_finding: FindingSink,
        clock: Clock,
        *,
        fixed: bool = True,
    ) -> None:
        self._camera, self._folder = camera, folder
        self._on_finding, self._clock = on_finding, clock
        self._log = log.get("picture")
        self.fixed = fixed
        self.troubles: tuple[PictureTrouble, ...] = ()
        self._health = PictureHealth()
        self._identity = ""
        self._open: dict[PictureKind, _Open] = {}
        self._confirmed_s = float("-inf")
        self._saved_s = clock.monotonic_s()

    @property
    def doubts(self) -> frozenset[PictureKind]:
        """What the last look found, told or not yet; for rules, in the same thread."""
        return frozenset(self._health.doubts)

    def look(self, frame: av.VideoFrame, _at: datetime, mono_s: float) -> None:
        """Look at a frame if it is time to."""
        if not self._health.is_due(mono_s):
            return
        self._know(frame, mono_s)
        health = self._health
        health.fixed = self.fixed
        was_learning = health.is_learning
        luma = luma_of(frame, WIDTH_PX)
        for change in health.look(luma, mono_s, is_grey=is_grey(frame)):
            self._tell(change, frame, mono_s)
        if mono_s - self._confirmed_s >= CONFIRM_EVERY_S:
            self._confirmed_s = mono_s
            for change in health.open_faults():
                self._tell(change, frame, mono_s)
        has_learned = was_learning and not health.is_learning
        if has_learned or mono_s - self._saved_s >= SAVE_EVERY_S:
            self._save(mono_s)

    def close(self) -> None:
        """Keep what was learned."""
        self._save(self._clock.monotonic_s())

    def _know(self, frame: av.VideoFrame, mono_s: float) -> None:
        """Take up the camera's baseline; another camera or picture size has none yet."""
        identity = _identity(self._camera, frame)
        if identity == self._identity:
            return
        self._identity = identity
        for kind in list(self._open):
            ended = PictureChange(kind, HitState.ENDED, mono_s, reason="another-camera")
            self._tell(ended, frame, mono_s)
        self._health = PictureHealth(load(self._folder, identity))

    def _tell(self, change: PictureChange, frame: av.VideoFrame, mono_s: float) -> None:
        at = utc_at(self._clock, mono_s)
        known = self._open.get(change.kind)
        if known is None:
            if change.state is HitState.ENDED:
                return
            jpeg, width_px, height_px = encode_jpeg(frame, 480, MAX_THUMBNAIL_BYTES)
            known = _Open(new_ulid(at), change.began_s, change.detail, jpeg, width_px, height_px)
            self._open[change.kind] = known
            self._log.warning("picture fault", code=change.kind.value, detail=change.detail)
        has_ended = change.state is HitState.ENDED
        if has_ended:
            del self._open[change.kind]
            self._log.info("picture fault over", code=change.kind.value, reason=change.reason)
        self.troubles = tuple(
            PictureTrouble(kind, utc_at(self._clock, one.began_s))
            for kind, one in self._open.items()
        )
        self._on_finding(
            PictureFinding(
                finding_id=known.finding_id,
                camera_id=self._camera.camera_id,
                kind=change.kind,
                state=change.state,
                at=at,
                mono_s=mono_s,
                began_at=utc_at(self._clock, known.began_s),
                tq=self._clock.quality(),
                detail=known.detail,
                reason=change.reason,
                picture_jpeg=None if has_ended else known.jpeg,
                picture_width_px=0 if has_ended else known.width_px,
                picture_height_px=0 if has_ended else known.height_px,
            )
        )

    def _save(self, mono_s: float) -> None:
        self._saved_s = mono_s
        if not self._health.baselines:
            return
        try:
            save(self._folder, self._identity, self._health.baselines)
        except OSError as error:  # a full or refusing disk; it is learned again
            self._log.warning("baseline not kept", detail=str(error))


def is_grey(frame: av.VideoFrame) -> bool:
    """Return whether a planar YUV frame has no colour at all, as under infrared light."""
    for plane in frame.planes[1:3]:
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        thin = rows[::8, : plane.width : 8]
        if abs(int(thin.max()) - 128) > _GREY_WITHIN or abs(int(thin.min()) - 128) > _GREY_WITHIN:
            return False
    return True


def _identity(camera: CameraSettings, frame: av.VideoFrame) -> str:
    """Return what changes when another camera or picture takes this one's place; no secret."""
    told = (camera.onvif_url, camera.main_url, camera.sub_url, f"{frame.width}x{frame.height}")
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
