"""Keeps a timelapse picture of one camera now and then; called with each frame the eyes see."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import av

from agent.clips import timelapse
from agent.core import log
from agent.core.errors import StorageError
from agent.ingest.jpeg import encode_jpeg
from agent.settings.model import TimelapseSettings

PRUNE_EVERY = 24  # pictures


class StillKeeper:
    """A full disk costs pictures, nothing else."""

    def __init__(
        self, folder: Path, settings: TimelapseSettings, now: Callable[[], datetime | None]
    ) -> None:
        """`now` tells a time to be trusted, None while there is none."""
        self._folder, self._settings, self._now = folder, settings, now
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
            if self._kept % PRUNE_EVERY == 0 and (now := self._now()) is not None:
                horizon = now - timedelta(days=self._settings.keep_days)
                timelapse.forget_older(self._folder, horizon)
        except (OSError, StorageError) as error:
            self._log.warning("picture not kept", detail=str(error))
        self._kept += 1
