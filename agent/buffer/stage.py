"""Event-only mode's waiting room: segments lie in memory until an event covers them.

In `{camera}/staged`, a link to a memory file system, with their rows in the index like all others.
What a lock's span touches is written to the disk at once; what nothing touches is never written:
it goes as retention says (`no-event`), or, when the room is full, the oldest first (`stage-full`).
While an event lasts, segments are made on the disk. A kill -9 costs nothing here; what a power cut
takes is forgotten with a gap, `staged-lost`.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from sqlite3 import Row

from agent.buffer import journal
from agent.buffer.index import STAGED, Index, micros
from agent.buffer.journal import Doomed
from agent.buffer.named_times import stream_of
from agent.buffer.segment_file import OPEN_SUFFIX, sync_folder
from agent.core import log
from agent.core.clock import Clock

DISK = "video"
LOST = "staged-lost"
KEPT_FOR_READERS_S = 60.0  # a clip that is being made may still read the file in memory
_ROWS = (
    "SELECT segment_id, path, bytes, start_utc_us, duration_us,"
    " EXISTS (SELECT 1 FROM locks l WHERE l.to_utc_us > s.start_utc_us"
    " AND l.from_utc_us < s.start_utc_us + s.duration_us) AS is_covered"
    " FROM segments s WHERE state = 'closed' AND path LIKE 'staged/%' ORDER BY start_utc_us"
)


class Stage:
    """One camera's. `base` is asked by the recorder's thread, all else is the upkeep's."""

    def __init__(
        self, folder: Path, memory: Path, index: Index, limit_bytes: int, clock: Clock
    ) -> None:
        """`memory`: a folder on a memory file system, made when it is not there.

        `limit_bytes` 0: nothing is staged any more, and what still is goes to the disk. `use`
        changes it.
        """
        self._folder, self._memory, self._index = folder, memory, index
        self._limit_bytes, self._clock = limit_bytes, clock
        self._retired: list[tuple[float, Path]] = []
        self._log = log.get("buffer.stage")
        self.base = STAGED if limit_bytes else DISK
        memory.mkdir(parents=True, exist_ok=True)
        _link(folder / STAGED, memory)
        self._find_what_is_lost()

    @property
    def is_on(self) -> bool:
        """Whether what is recorded waits here."""
        return self._limit_bytes > 0

    def use(self, limit_bytes: int) -> None:
        """Begin to stage, or end it, from the next turn on."""
        self._limit_bytes = limit_bytes

    def turn(self) -> None:
        """Write what is covered, drop what is too much, look whether an event is on.

        Raises `OSError` or `StorageError`; nothing is lost then, and the next turn goes on.
        """
        now_us = micros(self._clock.utc_now())
        with self._index.reading() as db:
            is_on = db.execute(
                "SELECT 1 FROM locks WHERE to_utc_us > ? AND from_utc_us <= ?", (now_us, now_us)
            ).fetchone()
            rows = db.execute(_ROWS).fetchall()
        self.base = STAGED if not is_on and self._has_room() else DISK
        for row in rows:
            if row["is_covered"] or not self._limit_bytes:
                self._write(row)
        if self._limit_bytes:
            self._drop_too_much([row for row in rows if not row["is_covered"]])
        self._unlink_retired()

    def event_began(self) -> None:
        """What is recorded from the next key frame on goes to the disk. From any thread."""
        self.base = DISK

    def _has_room(self) -> bool:
        if not self._limit_bytes:
            return False
        facts = os.statvfs(self._memory)
        return facts.f_bavail * facts.f_frsize > self._limit_bytes // 4

    def _write(self, row: Row) -> None:
        staged, path = self._folder / row["path"], _on_disk(row["path"])
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(target.stem + OPEN_SUFFIX)
        with staged.open("rb") as source, scratch.open("wb") as file:
            shutil.copyfileobj(source, file)
            file.flush()
            os.fsync(file.fileno())
        scratch.rename(target)
        sync_folder(target.parent)
        self._take_over(row["segment_id"], row["path"])
        self._retired.append((self._clock.monotonic_s() + KEPT_FOR_READERS_S, staged))
        self._log.info("staged segment written", path=path, bytes=row["bytes"])

    def _take_over(self, segment_id: int, path: str) -> None:
        with self._index.transaction() as db:
            db.execute(
                "UPDATE segments SET path = ? WHERE segment_id = ? AND path = ?",
                (_on_disk(path), segment_id, path),
            )

    def _drop_too_much(self, rows: list[Row]) -> None:
        size_bytes = sum(row["bytes"] for row in rows)
        doomed = []
        for row in rows:
            if size_bytes <= self._limit_bytes:
                break
            size_bytes -= row["bytes"]
            doomed.append(_doomed(row, "stage-full"))
            (self._folder / row["path"]).unlink(missing_ok=True)
        if doomed:
            journal.forget(self._index, doomed, self._clock.utc_now())

    def _unlink_retired(self) -> None:
        now_s = self._clock.monotonic_s()
        for due_s, path in list(self._retired):
            if now_s >= due_s:
                path.unlink(missing_ok=True)
                self._retired.remove((due_s, path))

    def _find_what_is_lost(self) -> None:
        """After a crash or a power cut: rows, files in memory and files on the disk agree again."""
        with self._index.reading() as db:
            rows = db.execute(_ROWS).fetchall()
        lost = []
        for row in rows:
            if (self._folder / _on_disk(row["path"])).exists():  # it was written, then we died
                self._take_over(row["segment_id"], row["path"])
            elif not (self._folder / row["path"]).exists():
                lost.append(_doomed(row, LOST))
        if lost:
            self._log.warning("staged video lost", segments=len(lost))
            journal.forget(self._index, lost, self._clock.utc_now())
            with self._index.transaction() as db:
                db.executemany(
                    "INSERT INTO gaps (stream, from_utc_us, to_utc_us, cause) VALUES (?,?,?,?)",
                    [
                        (stream_of(one.path), one.start_us, one.start_us + one.duration_us, LOST)
                        for one in lost
                    ],
                )
        self._remove_strangers()

    def _remove_strangers(self) -> None:
        with self._index.reading() as db:
            known = {row["path"] for row in db.execute("SELECT path FROM segments")}
        for file in self._memory.rglob("*.mp4"):
            if f"{STAGED}/{file.relative_to(self._memory).as_posix()}" not in known:
                file.unlink(missing_ok=True)


def _on_disk(path: str) -> str:
    return DISK + path.removeprefix(STAGED)


def _doomed(row: Row, rule: str) -> Doomed:
    return Doomed(
        row["segment_id"], row["path"], row["bytes"], row["start_utc_us"], row["duration_us"], rule
    )


def _link(link: Path, memory: Path) -> None:
    if link.is_symlink() and link.readlink() == memory:
        return
    with suppress(FileNotFoundError):
        link.unlink()
    link.symlink_to(memory)
