"""Reads a camera's recordings beside its writer: timeline, totals, segments of a range, hits.

For the core, the command line and the demo's report; works on a running box and on a disk taken
from another one. Opens the index read-only for each question.
"""

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from agent.buffer.index import INDEX_FILE, from_micros, micros
from agent.core.sqlite import open_reader


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """One segment on disk. `duration_us` is 0 while it is still being written."""

    path: Path
    run_id: int
    start_at: datetime
    duration_us: int
    frames: int
    size_bytes: int
    is_open: bool

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


def segments(folder: Path, since: datetime, until: datetime) -> list[StoredSegment]:
    """Return the segments that overlap [since, until), oldest first, the open one included."""
    with closing(open_reader(folder / INDEX_FILE)) as db:
        rows = db.execute(
            "SELECT path, run_id, start_utc_us, duration_us, frames, bytes, state FROM segments"
            " WHERE start_utc_us < ? AND (state='open' OR start_utc_us + duration_us > ?)"
            " ORDER BY start_utc_us",
            (micros(until), micros(since)),
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
        )
        for row in rows
    ]


def gaps(folder: Path, since: datetime, until: datetime) -> list[StoredGap]:
    """Return the gaps that overlap [since, until), oldest first."""
    with closing(open_reader(folder / INDEX_FILE)) as db:
        rows = db.execute(
            "SELECT from_utc_us, to_utc_us, cause FROM gaps"
            " WHERE from_utc_us < ? AND (to_utc_us IS NULL OR to_utc_us > ?)"
            " ORDER BY from_utc_us",
            (micros(until), micros(since)),
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
    with closing(open_reader(folder / INDEX_FILE)) as db:
        frames, duration_us, size = db.execute(
            "SELECT coalesce(sum(frames),0), coalesce(sum(duration_us),0),"
            " coalesce(sum(bytes),0) FROM segments WHERE state='closed'"
        ).fetchone()
        gap_count = db.execute("SELECT count(*) FROM gaps").fetchone()[0]
    return Totals(frames, duration_us / 1e6, size, gap_count)


def hit_ids(folder: Path, state: str = "began") -> set[str]:
    """Return the ids of all hits the worker ever kept: the eyes' own count of incidents."""
    with closing(open_reader(folder / INDEX_FILE)) as db:
        return {row[0] for row in db.execute("SELECT hit_id FROM hits WHERE state=?", (state,))}
