"""Reads a camera's recordings beside its writer: timeline, totals, segments of a range, hits.

For the core, the command line and the demo's report; works on a running box and on a disk taken
from another one. Opens the index read-only for each question.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from sqlite3 import Connection

from agent.buffer.index import MAIN, STAGED, SUB, from_micros, micros
from agent.buffer.locks import LONGEST_SEGMENT_US
from agent.buffer.rebuilt_place import index_file_of
from agent.buffer.schema import MIGRATIONS
from agent.core.errors import StorageError
from agent.core.sqlite import Part, open_reader


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """One segment on disk. `duration_us` is 0 while it is still being written.

    `tier` is `full`, `key-frames` once it was thinned, `unreadable` where it could not be.
    """

    path: Path
    run_id: int
    start_at: datetime
    duration_us: int
    frames: int
    size_bytes: int
    is_open: bool
    stream: str = MAIN
    tier: str = "full"

    @property
    def is_held(self) -> bool:
        """Whether it waits in memory for an event (event-only mode)."""
        return STAGED in self.path.parts

    @property
    def is_thinned(self) -> bool:
        """Whether only its key frames are left."""
        return self.tier == "key-frames"

    @property
    def end_at(self) -> datetime | None:
        """When its last frame ends; None while it is still being written."""
        if self.is_open:
            return None
        return self.start_at + timedelta(microseconds=self.duration_us)


@dataclass(frozen=True, slots=True)
class StoredGap:
    """A time without video and why. `until` is None while it lasts."""

    since: datetime
    until: datetime | None
    cause: str


@dataclass(frozen=True, slots=True)
class Totals:
    """What is on disk now."""

    frames: int
    recorded_s: float
    size_bytes: int
    gaps: int


def camera_folder(data_dir: Path, camera_id: str) -> Path:
    """Return where one camera's recordings and index are."""
    return data_dir / "cameras" / camera_id


def open_index_reader(folder: Path, parts: Sequence[Part] = ()) -> Connection:
    """Return a camera's index for reading, on this box or from another one, of any version.

    Raises `StorageError` storage.no_database where it is lost.
    """
    try:
        return open_reader(index_file_of(folder), MIGRATIONS, parts)
    except StorageError as error:
        if error.code != "storage.no_database":
            raise
        hint = (
            f"{error.hint} The agent makes a lost one anew when it starts; on a disk without one:"
            f" `poleside buffer check --rebuild --data-dir {folder.parent.parent}`."
        )
        raise StorageError(error.code, error.message, hint=hint) from error


def segments(
    folder: Path, since: datetime, until: datetime, stream: str = MAIN
) -> list[StoredSegment]:
    """Return a stream's segments that overlap [since, until), oldest first, with the open one."""
    with closing(open_index_reader(folder)) as db:
        rows = db.execute(
            "SELECT path, run_id, start_utc_us, duration_us, frames, bytes, state, tier"
            " FROM segments WHERE stream=? AND start_utc_us < ? AND start_utc_us > ?"
            " AND (state='open' OR start_utc_us + duration_us > ?) ORDER BY start_utc_us",
            (stream, micros(until), micros(since) - LONGEST_SEGMENT_US, micros(since)),
        ).fetchall()
    return [
        StoredSegment(
            path=folder / row["path"],
            run_id=row["run_id"],
            start_at=from_micros(row["start_utc_us"]),
            duration_us=row["duration_us"],
            frames=row["frames"],
            size_bytes=row["bytes"],
            is_open=row["state"] == "open",
            stream=stream,
            tier=row["tier"],
        )
        for row in rows
    ]


def for_clip(
    folder: Path, since: datetime, until: datetime, wanted: str = "auto"
) -> tuple[str, list[StoredSegment]]:
    """Return a stream and its segments for a clip of [since, until).

    `auto` takes the main stream, but the sub stream where main holds less than nine tenths of the
    time that sub does: it was thinned, or failed.
    """
    streams = (MAIN, SUB) if wanted == "auto" else (wanted,)
    found = {name: segments(folder, since, until, name) for name in streams}
    if wanted == "auto":
        covered = {name: _covered(found[name], since, until) for name in streams}
        wanted = MAIN if covered[MAIN] >= 0.9 * covered[SUB] else SUB
    return wanted, found[wanted]


def _covered(found: Sequence[StoredSegment], since: datetime, until: datetime) -> timedelta:
    spans = (min(one.end_at or until, until) - max(one.start_at, since) for one in found)
    return sum((span for span in spans if span > timedelta(0)), timedelta(0))


def gaps(folder: Path, since: datetime, until: datetime, stream: str = MAIN) -> list[StoredGap]:
    """Return a stream's gaps that overlap [since, until), oldest first."""
    with closing(open_index_reader(folder)) as db:
        rows = db.execute(
            "SELECT from_utc_us, to_utc_us, cause FROM gaps WHERE stream=?"
            " AND from_utc_us < ? AND (to_utc_us IS NULL OR to_utc_us > ?)"
            " ORDER BY from_utc_us",
            (stream, micros(until), micros(since)),
        ).fetchall()
    return [
        StoredGap(
            since=from_micros(row["from_utc_us"]),
            until=None if row["to_utc_us"] is None else from_micros(row["to_utc_us"]),
            cause=row["cause"],
        )
        for row in rows
    ]


def totals(folder: Path) -> Totals:
    """Return sums over all closed segments."""
    with closing(open_index_reader(folder)) as db:
        frames, duration_us, size = db.execute(
            "SELECT coalesce(sum(frames),0), coalesce(sum(duration_us),0),"
            " coalesce(sum(bytes),0) FROM segments WHERE state='closed'"
        ).fetchone()
        gap_count = db.execute("SELECT count(*) FROM gaps").fetchone()[0]
    return Totals(frames, duration_us / 1e6, size, gap_count)


def hit_ids(folder: Path, state: str = "began") -> set[str]:
    """Return the ids of all hits the worker ever kept: the eyes' own count of incidents."""
    with closing(open_index_reader(folder)) as db:
        return {row[0] for row in db.execute("SELECT hit_id FROM hits WHERE state=?", (state,))}
