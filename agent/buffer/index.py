"""The index of one camera's recordings: runs, segments, gaps, hits.

A run is of one stream, main or sub; so are its segments and the gap behind it. One writer, the
camera's worker; its threads share one connection behind a lock. Everybody else reads through
`agent.buffer.reading`.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection, DatabaseError

from agent.buffer.named_times import note_redated
from agent.buffer.redating import redate
from agent.buffer.schema import MIGRATIONS
from agent.buffer.timekeeper import Correction, RecordedTime
from agent.core.disk_wait import STUCK, STUCK_S, Calls
from agent.core.errors import StorageError
from agent.core.sqlite import Part, migrate_parts, open_writer

INDEX_FILE = "index.db"
DUPLICATE = "index-duplicate"  # the folder with what the index alone knows, written a second time
MAIN, SUB = "main", "sub"
STAGED = "staged"  # the folder of segments that wait in memory for an event
HANDED_OVER = "handed-over"  # how a run ends that the next one goes on from without a gap


@dataclass(frozen=True, slots=True)
class Moment:
    """A time on the box's monotonic clock, and the UTC it stands for as far as is known."""

    utc_us: int
    mono_us: int
    boot_id: str
    quality: RecordedTime


@dataclass(frozen=True, slots=True)
class RunStart:
    """What is noted when a stream begins."""

    stream: str
    codec: str
    width_px: int
    height_px: int
    at: Moment


@dataclass(frozen=True, slots=True)
class SegmentEnd:
    """The final figures of one segment; without a frame it is forgotten."""

    segment_id: int
    path: str
    duration_us: int
    frames: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Seam:
    """Where one worker left a stream to the next: behind the GOP of the key frame `key`.

    `key_mono_us` is when that key frame came, `mono_us` the time of the next: the first one that
    is not stored yet.
    """

    run_id: int
    key: bytes
    key_mono_us: int
    mono_us: int


def micros(at: datetime) -> int:
    """Return `at` as UTC microseconds since 1970."""
    return round(at.timestamp() * 1_000_000)


def from_micros(value_us: int) -> datetime:
    """Return UTC microseconds since 1970 as an aware datetime."""
    return datetime.fromtimestamp(value_us / 1_000_000, UTC)


Also = Callable[[Connection], None]


def _nothing(_: Connection) -> None:
    return None


class Index:
    """Writes a camera's `index.db`; every method is one durable transaction."""

    def __init__(self, folder: Path, parts: Sequence[Part] = ()) -> None:
        """`parts` are the tables of what else is kept with the recordings (evidence, ledger)."""
        self._folder = folder
        self._db = open_writer(folder / INDEX_FILE, MIGRATIONS)
        migrate_parts(self._db, parts)
        self._lock = threading.Lock()
        self.calls = Calls()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self, patience_s: float = -1.0) -> Iterator[Connection]:
        """Hold the connection for one durable transaction. Raises `StorageError`.

        `patience_s`: how long to wait for other threads, whom a frozen disk may hold up.
        """
        if not self._lock.acquire(timeout=patience_s):
            raise StorageError(STUCK, "The disk does not answer.", retryable=True)
        try:
            with self.calls:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
        except DatabaseError as error:
            self._roll_back()
            raise _index_error(error) from error
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._lock.release()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Hold the connection for questions. Raises `StorageError`."""
        with self._lock:
            try:
                yield self._db
            except DatabaseError as error:
                raise _index_error(error) from error

    def _roll_back(self) -> None:
        if self._db.in_transaction:  # a full disk makes SQLite undo it by itself
            with suppress(DatabaseError):
                self._db.execute("ROLLBACK")

    # Runs and segments

    def begin_run(self, run: RunStart) -> int:
        """Note a new run and return its id."""
        with self.transaction() as db:
            cursor = db.execute(
                "INSERT INTO runs (stream, codec, width_px, height_px, started_utc_us,"
                " started_mono_us, boot_id, time_quality) VALUES (?,?,?,?,?,?,?,?)",
                (
                    run.stream,
                    run.codec,
                    run.width_px,
                    run.height_px,
                    run.at.utc_us,
                    run.at.mono_us,
                    run.at.boot_id,
                    run.at.quality,
                ),
            )
            return int(cursor.lastrowid or 0)

    def end_run(
        self,
        run_id: int,
        cause: str,
        end: SegmentEnd | None,
        gap_from: Moment,
        also: Also = _nothing,
    ) -> None:
        """Close the run's last segment, note why it ended, and open the gap that now begins."""
        with self.transaction() as db:
            if end is not None:
                _close_segment(db, end)
                also(db)
            db.execute("UPDATE runs SET ended_cause=? WHERE run_id=?", (cause, run_id))
            _open_gap(db, run_id, gap_from.utc_us, cause, gap_from.boot_id, gap_from.mono_us)

    def leave_run(self, seam: Seam, end: SegmentEnd | None, also: Also = _nothing) -> None:
        """Close the run's last segment and leave the run to a successor: no gap begins yet."""
        with self.transaction() as db:
            if end is not None:
                _close_segment(db, end)
                also(db)
            db.execute(
                "UPDATE runs SET seam_key=?, seam_key_mono_us=?, seam_mono_us=? WHERE run_id=?",
                (seam.key, seam.key_mono_us, seam.mono_us, seam.run_id),
            )

    def seam(self, boot_id: str) -> Seam | None:
        """Return where a predecessor of this boot left its run; None when it just ended."""
        with self.reading() as db:
            row = db.execute(
                "SELECT run_id, seam_key, seam_key_mono_us, seam_mono_us FROM runs"
                " WHERE ended_cause IS NULL AND boot_id=? AND seam_key IS NOT NULL"
                " AND run_id = (SELECT max(run_id) FROM runs WHERE stream='main')",
                (boot_id,),
            ).fetchone()
        return None if row is None else Seam(*row)

    def next_segment(
        self,
        run_id: int,
        path: str,
        start: Moment,
        previous: SegmentEnd | None,
        also: Also = _nothing,
    ) -> int:
        """Close `previous` and open its successor in one transaction.

        It also ends the stream's open gap, and the run of a worker that left it to this one.
        """
        with self.transaction() as db:
            if previous is not None:
                _close_segment(db, previous)
                also(db)
            stream = _stream_of(db, run_id)
            db.execute(
                "UPDATE runs SET ended_cause=?"
                " WHERE ended_cause IS NULL AND run_id <> ? AND stream=?",
                (HANDED_OVER, run_id, stream),
            )
            db.execute(
                "UPDATE gaps SET to_utc_us=?, to_boot_id=?, to_mono_us=?"
                " WHERE to_utc_us IS NULL AND stream=?",
                (start.utc_us, start.boot_id, start.mono_us, stream),
            )
            cursor = db.execute(
                "INSERT INTO segments"
                " (run_id, stream, path, state, start_utc_us, start_mono_us, time_quality)"
                " VALUES (?,?,?,'open',?,?,?)",
                (run_id, stream, path, start.utc_us, start.mono_us, start.quality),
            )
            if start.quality is not RecordedTime.UNPROVEN:
                db.execute(
                    "INSERT INTO clock_proofs (boot_id, offset_us)"
                    " VALUES (?,?) ON CONFLICT (boot_id)"
                    " DO UPDATE SET offset_us=excluded.offset_us",
                    (start.boot_id, start.utc_us - start.mono_us),
                )
            return int(cursor.lastrowid or 0)

    # Time

    def proven_offset_s(self, boot_id: str) -> float | None:
        """Return UTC minus monotonic as an earlier worker of this boot had proven it."""
        with self.reading() as db:
            row = db.execute(
                "SELECT offset_us FROM clock_proofs WHERE boot_id=?", (boot_id,)
            ).fetchone()
        return None if row is None else row["offset_us"] / 1e6

    def correct(self, boot_id: str, correction: Correction, at: datetime) -> None:
        """Re-date what was recorded in this boot before the time was proven, and say so.

        Raises `StorageError` or `OSError`.
        """
        before_us = round(correction.before_mono_s * 1e6)
        shift_us = round(correction.shift_s * 1e6)
        with self.transaction() as db:
            redate(db, boot_id, before_us, shift_us)
            db.execute(
                "INSERT INTO corrections (boot_id, before_mono_us, shift_us, made_utc_us)"
                " VALUES (?,?,?,?)",
                (boot_id, before_us, shift_us, micros(at)),
            )
            note_redated(db, self._folder, boot_id)

    def open_segments(self, stream: str) -> list[tuple[int, int, str, int]]:
        """Return (segment_id, run_id, path, start_utc_us) of segments that were never closed."""
        with self.reading() as db:
            return [
                tuple(row)
                for row in db.execute(
                    "SELECT segment_id, run_id, path, start_utc_us FROM segments"
                    " WHERE state='open' AND stream=? ORDER BY segment_id",
                    (stream,),
                )
            ]

    def recover_segment(self, end: SegmentEnd, also: Also = _nothing) -> None:
        """Note what a crash left of an open segment."""
        with self.transaction() as db:
            _close_segment(db, end)
            also(db)

    def recover_gap(
        self, boot_id: str, cause_same_boot: str, cause_other_boot: str, stream: str
    ) -> str | None:
        """Open the gap a crash left behind; return its cause, None when nothing is missing."""
        with self.transaction() as db:
            run = db.execute(
                "SELECT run_id, boot_id FROM runs WHERE ended_cause IS NULL AND stream=?"
                " ORDER BY run_id DESC LIMIT 1",
                (stream,),
            ).fetchone()
            if run is None:
                return None
            cause = cause_same_boot if run["boot_id"] == boot_id else cause_other_boot
            db.execute(
                "UPDATE runs SET ended_cause=? WHERE ended_cause IS NULL AND stream=?",
                (cause, stream),
            )
            last = db.execute(
                "SELECT start_utc_us + duration_us, start_mono_us + duration_us FROM segments"
                " WHERE state='closed' AND stream=? ORDER BY 1 DESC LIMIT 1",
                (stream,),
            ).fetchone()
            if last is not None:
                _open_gap(db, run["run_id"], last[0], cause, run["boot_id"], last[1])
            return cause

    def totals(self, stream: str) -> tuple[int, float, int, int]:
        """Return (frames, recorded seconds, bytes, gaps) of a stream's closed segments."""
        with self.reading() as db:
            frames, duration_us, size = db.execute(
                "SELECT coalesce(sum(frames),0), coalesce(sum(duration_us),0),"
                " coalesce(sum(bytes),0) FROM segments WHERE state='closed' AND stream=?",
                (stream,),
            ).fetchone()
            gaps = db.execute("SELECT count(*) FROM gaps WHERE stream=?", (stream,)).fetchone()[0]
        return frames, duration_us / 1e6, size, gaps

    # Hits: kept until the core has committed them

    def keep_hit(self, hit_id: str, at: datetime, mono_s: float, state: str, body: bytes) -> None:
        """Note a hit; raises `StorageError` when the disk does not answer, for it can't wait."""
        with self.transaction(patience_s=STUCK_S) as db:
            db.execute(
                "INSERT OR IGNORE INTO hits (hit_id, made_utc_us, made_mono_us, state, body)"
                " VALUES (?,?,?,?,?)",
                (hit_id, micros(at), round(mono_s * 1e6), state, body),
            )

    def ack_hit(self, hit_id: str) -> None:
        """The core has it: drop the body, keep the row as the worker's own count."""
        with self.transaction() as db:
            db.execute("UPDATE hits SET acked=1, body=NULL WHERE hit_id=?", (hit_id,))

    def waiting_hits(self) -> list[bytes]:
        """Return the bodies of all hits the core has not acknowledged, oldest first."""
        with self.reading() as db:
            return [
                row[0] for row in db.execute("SELECT body FROM hits WHERE acked=0 ORDER BY rowid")
            ]


def _index_error(error: DatabaseError) -> StorageError:
    return StorageError(
        "storage.full" if "is full" in str(error) else "storage.index",
        f"The recording index can't be used: {error}.",
        hint="Free space on the disk or check it for errors.",
        retryable=True,
    )


def _close_segment(db: Connection, end: SegmentEnd) -> None:
    if not end.frames:
        db.execute("DELETE FROM segments WHERE segment_id=?", (end.segment_id,))
        return
    db.execute(
        "UPDATE segments SET state='closed', path=?, duration_us=?, frames=?, bytes=?"
        " WHERE segment_id=?",
        (end.path, end.duration_us, end.frames, end.size_bytes, end.segment_id),
    )


def _stream_of(db: Connection, run_id: int) -> str:
    row = db.execute("SELECT stream FROM runs WHERE run_id=?", (run_id,)).fetchone()
    return MAIN if row is None else str(row["stream"])


def _open_gap(
    db: Connection, run_id: int, from_us: int, cause: str, boot_id: str, mono_us: int | None
) -> None:
    stream, is_open = _stream_of(db, run_id), "SELECT 1 FROM gaps WHERE to_utc_us IS NULL"
    if db.execute(f"{is_open} AND stream=?", (stream,)).fetchone() is None:
        db.execute(
            "INSERT INTO gaps (stream, from_utc_us, cause, from_boot_id, from_mono_us)"
            " VALUES (?,?,?,?,?)",
            (stream, from_us, cause, boot_id, mono_us),
        )
