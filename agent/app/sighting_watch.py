"""One camera's sightings, wired: tracks of the eyes in, records on its disk out.

Called by the sub stream's thread after each frame. A refusing disk costs sightings, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from agent.app.picture_watch import is_grey
from agent.buffer.recording_clock import LEAST_CORRECTION_S, Dates, RecordingClock
from agent.core import log
from agent.core.clock import Clock
from agent.core.errors import StorageError
from agent.detect.letterbox import RgbMaker
from agent.ingest.jpeg import encode_jpeg
from agent.messages.passing import Passing
from agent.messages.vision import TrackedObject
from agent.settings.model import CameraSettings, SightingSettings
from agent.sightings.dating import Correction, Dating
from agent.sightings.gatherer import Gatherer
from agent.sightings.store import SIGHTINGS_FILE, Sighting, SightingStore

PRUNE_EVERY_S = 600.0
LOOK_EVERY_S, WRITE_EVERY_S = 1.0, 5.0
_THUMBNAIL_WIDTH_PX, _THUMBNAIL_BYTES = 96, 4096
_LEAST_PX = 16


class SightingWatch:
    """`objects` tells what the eyes follow now; the same tuple again is no new look."""

    def __init__(
        self,
        camera: CameraSettings,
        folder: Path,
        settings: SightingSettings,
        clock: Clock,
        objects: Callable[[], tuple[TrackedObject, ...]],
        model: Callable[[], str] = str,
        tell: Callable[[Passing], None] = lambda _: None,
        now: Callable[[], datetime | None] = lambda: None,
        time: RecordingClock | None = None,
    ) -> None:
        """`tell` hears of everybody once he is described, and once he is gone.

        `now` tells a time to be trusted; without one nothing goes for its age.
        `time` is what dates the recordings, and so what is kept of it here, now and when the time
        is proven later; without one all stays dated as it was seen.
        """
        self._folder, self._settings, self._clock = folder, settings, clock
        self._objects, self._model, self._now = objects, model, now
        self._time, self._corrected_mono_us, self._redated = time, -1, 0
        self._log = log.get("sightings")
        self._gatherer = Gatherer(_thumbnail, tell, camera.camera_id)
        self._rgb = RgbMaker()
        self._store: SightingStore | None = None
        self._seen: tuple[TrackedObject, ...] = ()
        self._over: list[Sighting] = []
        self._looked_s = self._written_s = self._pruned_s = float("-inf")

    def look(self, frame: av.VideoFrame, at: datetime, mono_s: float) -> None:
        """Take what is followed in this frame."""
        objects = self._objects()
        if objects is not self._seen:
            self._seen = objects
            if objects:
                self._gatherer.look(
                    objects, lambda: (self._rgb.picture(frame), not is_grey(frame)), at, mono_s
                )
        if mono_s - self._looked_s >= LOOK_EVERY_S:  # who waits for somebody hears it soon
            self._looked_s = mono_s
            self._over += self._gatherer.over(mono_s)
        if mono_s - self._written_s >= WRITE_EVERY_S:
            self._written_s = mono_s
            self._write(mono_s)

    def close(self) -> None:
        """Keep what is still open."""
        mono_s = self._clock.monotonic_s()
        self._over += self._gatherer.over(mono_s, all_of_them=True)
        self._write(mono_s)
        if self._store is not None:
            self._store.close()
            self._store = None

    def _write(self, mono_s: float) -> None:
        over, self._over = self._over, []
        dates = None if self._time is None else self._time.dates()
        try:
            if over:
                self._add([replace(one, model=self._model()) for one in over], dates)
            is_due = self._store is not None and mono_s - self._pruned_s >= PRUNE_EVERY_S
            now = self._now() if is_due else None  # asked before: nothing is old by a later time
            is_dated = self._redate()
            if is_due and self._store is not None:
                self._pruned_s = mono_s
                self._store.prune(now if is_dated else None)
        except StorageError as error:
            self._log.warning("sightings not kept", code=error.code, detail=error.message)

    def _add(self, over: list[Sighting], dates: Dates | None) -> None:
        if dates is None:
            self._opened().add(over)
            return
        dating = Dating(dates.boot_id, dates.corrected_mono_us)
        self._opened().add([_dated(one, dates) for one in over], dating)

    def _redate(self) -> bool:
        """Move what a correction concerns that was made since; at first, what was left undone.

        False while there is more: the stream's thread must not wait for all of a month.
        """
        if self._time is None:
            return True
        corrected_mono_us = self._time.dates().corrected_mono_us
        if corrected_mono_us == self._corrected_mono_us:
            return True
        if self._store is not None or (self._folder / SIGHTINGS_FILE).exists():
            known = [Correction(*one) for one in self._time.corrections()]
            if count := self._opened().redate(known):
                self._redated += count
                return False
        if self._redated:
            self._log.info("sightings re-dated", count=self._redated)
        self._corrected_mono_us, self._redated = corrected_mono_us, 0
        return True

    def _opened(self) -> SightingStore:
        if self._store is None:
            self._store = SightingStore(
                self._folder,
                keep_days=self._settings.keep_days,
                max_bytes=self._settings.max_bytes,
            )
        return self._store


def _dated(one: Sighting, dates: Dates) -> Sighting:
    """Return it with the time that the video of it carries."""
    if one.begin_s is None:
        return one
    begin = dates.utc(one.begin_s)
    if abs(begin - one.begin) < timedelta(seconds=LEAST_CORRECTION_S):
        return one
    return replace(one, begin=begin, end=begin + (one.end - one.begin), told_begin=one.begin)


def _thumbnail(cut: NDArray[np.uint8]) -> bytes:
    height, width = (max(_LEAST_PX, size & ~1) for size in cut.shape[:2])
    padded = np.zeros((height, width, 3), np.uint8)
    padded[: cut.shape[0], : cut.shape[1]] = cut[:height, :width]
    frame = av.VideoFrame.from_ndarray(padded, format="rgb24")
    return encode_jpeg(frame, _THUMBNAIL_WIDTH_PX, _THUMBNAIL_BYTES)[0]
