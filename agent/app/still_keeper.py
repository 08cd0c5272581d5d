"""Keeps a timelapse picture of one camera now and then; called with each frame the eyes see."""

from collections.abc import Callable
from datetime import datetime, timedelta
from os import statvfs
from pathlib import Path

import av

from agent.buffer import journal
from agent.buffer.index import Index
from agent.buffer.timekeeper import Timekeeper
from agent.clips import stills
from agent.clips.stills import Gone, Unproven
from agent.core import log
from agent.core.clock import Clock, boot_id
from agent.core.errors import StorageError
from agent.ingest.jpeg import encode_jpeg
from agent.settings.model import Settings

PRUNE_EVERY = 24  # pictures


class StillKeeper:
    """A full disk costs pictures, nothing else. Each deletion is in the camera's journal."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        now: Callable[[], datetime | None],
        index: Index,
        clock: Clock,
    ) -> None:
        """`now` tells a time to be trusted, None while there is none."""
        self._folder, self._settings, self._now = folder, settings.timelapse, now
        self._cameras = len(settings.cameras)
        self._index, self._clock, self._boot = index, clock, boot_id()
        self._time = Timekeeper(clock, floor=stills.last_proven(folder))
        self._is_proven = False
        self._log = log.get("timelapse")
        self._due_mono_s = 0.0
        self._kept = 0

    def offer(self, frame: av.VideoFrame, _at: datetime, mono_s: float) -> None:
        """Keep this frame when one is due."""
        if self._settings.every_s == 0 or mono_s < self._due_mono_s:
            return
        self._due_mono_s = mono_s + self._settings.every_s
        jpeg, _, _ = encode_jpeg(frame, self._settings.width_px, self._settings.max_bytes)
        try:
            self._look()
            unproven = None if self._is_proven else Unproven(self._boot, mono_s)
            stills.keep(self._folder, jpeg, self._time.utc(mono_s), unproven)
            if self._kept % PRUNE_EVERY == 0:
                self._prune()
        except (OSError, StorageError) as error:
            self._log.warning("picture not kept", detail=str(error))
        self._kept += 1

    def _look(self) -> None:
        """Once the time is proven, date what was kept before it was."""
        self._time.look()
        if self._time.proven_offset_s is not None and not self._is_proven:
            if dated := stills.redate(self._folder, self._boot, self._time.utc):
                self._log.info("pictures re-dated", count=dated)
            self._is_proven = True

    def _prune(self) -> None:
        if (now := self._now()) is not None:
            horizon = now - timedelta(days=self._settings.keep_days)
            self._note("age", stills.forget_older(self._folder, horizon))
        facts = statvfs(self._folder)
        share_bytes = facts.f_blocks * facts.f_frsize * self._settings.max_share
        self._note("share", stills.thin(self._folder, int(share_bytes / max(1, self._cameras))))

    def _note(self, rule: str, gone: Gone | None) -> None:
        if gone is None:
            return
        detail = (
            f"{rule}: {gone.count} pictures, {gone.size_bytes} bytes,"
            f" {gone.since:%Y-%m-%dT%H:%M:%SZ} to {gone.until:%Y-%m-%dT%H:%M:%SZ}"
        )
        with self._index.transaction() as db:
            journal.note(db, self._clock.utc_now(), "stills-removed", stills.FOLDER, detail)
        self._log.info("pictures removed", rule=rule, count=gone.count, bytes=gone.size_bytes)
