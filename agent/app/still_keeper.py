"""Keeps a timelapse picture of one camera now and then; called with each frame the eyes see."""

from datetime import datetime, timedelta
from pathlib import Path

import av

from agent.clips import timelapse
from agent.contract.events import TimeQuality
from agent.core import log
from agent.core.clock import Clock
from agent.ingest.jpeg import encode_jpeg
from agent.settings.model import TimelapseSettings

PRUNE_EVERY = 24  # pictures


class StillKeeper:
    """A full disk costs pictures, nothing else."""

    def __init__(self, folder: Path, settings: TimelapseSettings, clock: Clock) -> None:
        self._folder, self._settings, self._clock = folder, settings, clock
        self._log = log.get("timelapse")
        self._due_mono_s = 0.0
        self._kept = 0

    def offer(self, frame: av.VideoFrame, at: datetime, mono_s: float) -> None:
        """Keep this frame when one is due."""
        if self._settings.every_s == 0 or mono_s < self._due_mono_s:
            return
        self._due_mono_s = mono_s + self._settings.every_s
        jpeg, _, _ = encode_jpeg(frame, self._settings.width_px, self._settings.max_bytes)
        try:
            timelapse.keep(self._folder, jpeg, at)
            is_timed = self._clock.quality() is not TimeQuality.UNSYNCED
            if is_timed and self._kept % PRUNE_EVERY == 0:
                horizon = self._clock.utc_now() - timedelta(days=self._settings.keep_days)
                timelapse.forget_older(self._folder, horizon)
        except OSError as error:
            self._log.warning("picture not kept", detail=str(error))
        self._kept += 1
