"""Which segments go: by age, by the camera's share, and when the disk runs low.

The file goes first, then its row: rows without files heal, files without rows fill a disk.
"""

import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from agent.buffer.index import Index, micros
from agent.buffer.segment_file import hour_folder
from agent.core import log
from agent.core.clock import Clock
from agent.settings.model import BufferSettings

_BATCH = 50
FREE_AT_ONCE = 6  # segments freed when the disk refuses a write: a minute of video


class Retention:
    """Prunes one camera's segments. Called by the worker only."""

    def __init__(self, folder: Path, index: Index, settings: BufferSettings, clock: Clock) -> None:
        self._folder, self._index, self._settings, self._clock = folder, index, settings, clock
        self._log = log.get("buffer.retention")

    def prune(self) -> int:
        """Delete what is too old or too much; return how many segments went."""
        gone = self._prune_by_age()
        while self._is_over_share() or self._is_disk_low():
            deleted = self._delete_oldest(1, "share" if self._is_over_share() else "disk-low")
            if not deleted:
                break
            gone += deleted
        return gone

    def free_some(self) -> int:
        """Delete the oldest few segments at once: the disk is full."""
        return self._delete_oldest(FREE_AT_ONCE, "disk-full")

    def _prune_by_age(self) -> int:
        horizon_us = micros(self._clock.utc_now() - timedelta(days=self._settings.retention_days))
        oldest = self._index.oldest_closed(_BATCH)
        gone = self._delete([segment for segment in oldest if segment[3] < horizon_us], "age")
        self._index.forget_before(horizon_us)
        return gone

    def _is_over_share(self) -> bool:
        limit = self._settings.max_bytes
        return limit is not None and self._index.totals()[2] > limit

    def _is_disk_low(self) -> bool:
        facts = os.statvfs(self._folder)
        return facts.f_bavail * facts.f_frsize < self._settings.min_free_bytes

    def _delete_oldest(self, count: int, rule: str) -> int:
        return self._delete(self._index.oldest_closed(count), rule)

    def _delete(self, segments: list[tuple[int, str, int, int]], rule: str) -> int:
        for _, path, _, _ in segments:  # all files first: on a full disk the rows need their room
            (self._folder / path).unlink(missing_ok=True)
            self._tidy((self._folder / path).parent)
        for segment_id, path, size_bytes, _ in segments:
            self._index.forget_segment(segment_id, path, size_bytes, rule, self._clock.utc_now())
            self._log.info("segment deleted", path=path, bytes=size_bytes, rule=rule)
        return len(segments)

    def _tidy(self, hour: Path) -> None:
        """Remove the folders of an hour and a day that are over, once they are empty."""
        if hour.relative_to(self._folder / "video") == hour_folder(self._clock.utc_now()):
            return
        with suppress(OSError):  # not empty
            hour.rmdir()
            hour.parent.rmdir()
