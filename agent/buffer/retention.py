"""Deletes what is due (`agent.buffer.due`): too old, too much, or in the way of a full disk.

The file goes first, then its row: rows without files heal, files without rows fill a disk.
"""

import os
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path
from sqlite3 import DatabaseError

from agent.buffer import journal
from agent.buffer.due import Room, State, due, oldest_unlocked
from agent.buffer.index import INDEX_FILE, Index
from agent.buffer.journal import Doomed
from agent.buffer.timekeeper import Timekeeper
from agent.buffer.trusted_time import trusted_now
from agent.core import log
from agent.core.clock import Clock, boot_id
from agent.core.errors import StorageError
from agent.core.sqlite import open_reader
from agent.settings.model import BufferSettings

_BATCH = 50  # segments a transaction: at once they are few seconds of video on a busy card
_MOST = 5_000  # planned at once: from the low water mark to the high one in one go
FREE_AT_ONCE = 6  # segments freed when the disk refuses a write: a minute of video
_INODE_RESERVE = 20  # a twentieth of a small disk's inodes is enough


class Retention:
    """Prunes one camera's segments. Called by the worker's threads only.

    `deleting` is held while files go before their rows, so that nobody takes that for a fault.
    """

    def __init__(
        self,
        folder: Path,
        index: Index,
        settings: BufferSettings,
        clock: Clock,
        *,
        cameras: int = 1,
        state: Callable[[], State] | None = None,
    ) -> None:
        """`state` tells time and room of the disk; by default they are looked up."""
        self._folder, self._index, self._settings, self._clock = folder, index, settings, clock
        self._state = state or (lambda: state_of(folder, settings, self.now(), cameras))
        self._box_clock = Timekeeper(clock)
        self._box_clock.look()
        self._log = log.get("buffer.retention")
        self.deleting = threading.Lock()

    def now(self) -> datetime | None:
        """Return the time by which video may be called old; None while there is none to trust."""
        with self._index.reading() as db:
            return trusted_now(db, self._folder, self._clock, boot_id(), self._box_clock)

    def prune(self, go_on: Callable[[], bool] = lambda: True) -> int:
        """Delete all that is due; return how many segments went. `go_on` may end it early."""
        gone = 0
        state: State | None = None
        while go_on():
            state = self._state().after(state)
            with self._index.reading() as db:
                doomed = due(db, self._settings, state, _MOST)
            if not doomed:
                break
            for first in range(0, len(doomed), _BATCH):
                if go_on():
                    gone += self.delete(doomed[first : first + _BATCH])
        if (now := self.now()) is not None:
            age = timedelta(days=self._settings.retention_days)
            journal.forget_before(self._index, now - age)
            self._drop_set_aside(now - age)
        return gone

    def _drop_set_aside(self, horizon: datetime) -> None:
        """A damaged index that was set aside tells of video, too, and goes when that is gone."""
        for path in self._folder.glob(f"{INDEX_FILE}.damaged*"):
            with suppress(OSError):  # of a disk that is failing: tried again
                if path.stat().st_mtime < horizon.timestamp():
                    path.unlink()

    def free_some(self) -> int:
        """Delete the oldest few segments at once: the disk is full."""
        with self._index.reading() as db:
            doomed = oldest_unlocked(db, FREE_AT_ONCE, "disk-full")
        return self.delete(doomed)

    def delete(self, doomed: list[Doomed]) -> int:
        """Delete these; all files first: on a full disk the rows need their room."""
        with self.deleting:
            for segment in doomed:
                path = self._folder / segment.path
                path.unlink(missing_ok=True)
            gone = journal.forget(self._index, doomed, self._clock.utc_now())
            self._remove_empty_folders({(self._folder / segment.path).parent for segment in doomed})
        for segment in doomed:
            self._log.info(
                "segment deleted", path=segment.path, bytes=segment.size_bytes, rule=segment.rule
            )
        return gone

    def _remove_empty_folders(self, hours: set[Path]) -> None:
        """Each costs an inode. The newest is kept: a segment may just be made in it."""
        with self._index.reading() as db:
            row = db.execute(
                "SELECT path FROM segments ORDER BY segment_id DESC LIMIT 1"
            ).fetchone()
        newest = None if row is None else (self._folder / row["path"]).parent
        for hour in hours:
            if newest is not None and hour != newest:
                with suppress(OSError):  # not empty
                    hour.rmdir()
                    if hour.parent != newest.parent:
                        hour.parent.rmdir()


def state_of(folder: Path, settings: BufferSettings, now: datetime | None, cameras: int) -> State:
    """Return what decides beside the index, at a trusted `now`."""
    facts = os.statvfs(folder)
    low = settings.min_free_bytes
    high = settings.free_again_bytes if settings.free_again_bytes is not None else low * 5 // 4
    low_inodes = min(settings.min_free_inodes, facts.f_files // _INODE_RESERVE)
    free_bytes, free_inodes = facts.f_bavail * facts.f_frsize, facts.f_favail
    segments = size_bytes = 0
    if free_bytes < high or free_inodes < low_inodes * 5 // 4:
        segments, size_bytes = usage_of_all(folder.parent)
    has_inodes = facts.f_files > 0  # some file systems make them as needed
    return State(
        now=now,
        room_bytes=Room(free_bytes, low, high, size_bytes, cameras),
        room_inodes=Room(
            free_inodes, low_inodes if has_inodes else 0, low_inodes * 5 // 4, segments, cameras
        ),
    )


def usage_of_all(cameras_folder: Path) -> tuple[int, int]:
    """Return (segments, bytes) that all cameras together hold, as their indexes say."""
    segments = size_bytes = 0
    for index_file in cameras_folder.glob(f"*/{INDEX_FILE}"):
        with suppress(StorageError, DatabaseError), closing(open_reader(index_file)) as db:
            usage = db.execute("SELECT segments, bytes FROM usage").fetchone()
            segments, size_bytes = segments + usage["segments"], size_bytes + usage["bytes"]
    return segments, size_bytes
