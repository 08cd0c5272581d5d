"""Reads a camera's duplicate (`agent.buffer.duplicate`) back into an index that was made anew.

The newest lines first: what they tell counts, and an older line adds what is not known yet. So the
newest files, which tell the numbers that are taken, are enough to record on with; the others follow
in the background, one in each transaction, and go on after a restart (`to_restore`). A line that
the box's key did not sign, or that is of another camera, is told and not taken; so is told where
lines are missing.
"""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import Connection, DatabaseError
from typing import Any

from agent.buffer import journal
from agent.buffer.duplicate import GROUPS, tables_of
from agent.buffer.duplicate_files import Batch, Line, files_of, first_number, lines_of
from agent.buffer.index import DUPLICATE, Index
from agent.buffer.journal import Doomed, Verifier
from agent.core import log
from agent.core.clock import Clock

BEGUN = "begun"  # what can't wait is being put in: an index with this mark is worth nothing yet
_LEFT = "left"  # something is still to be done in the background
BEFORE = "before-rebuild"  # the rule by which a segment was deleted, as far as is known
_AT_ONCE = 2  # newest files of each group: two days of video
_STUB = (
    "INSERT OR IGNORE INTO runs (run_id, stream, codec, width_px, height_px, started_utc_us,"
    " started_mono_us, boot_id, time_quality, ended_cause) VALUES (?,?,'',0,0,?,0,'',?,?)"
)
_UNKNOWN = "rebuilt"
_Columns = dict[str, list[str]]


@dataclass(slots=True)
class Restored:
    """What was read back. `refused` are sentences, each about a line that was not taken."""

    lines: int = 0
    rows: int = 0
    refused: list[str] = field(default_factory=list)


class Restoring:
    """Puts back one camera's rows, a file at a time. Without `verifies` no key is known."""

    def __init__(
        self, folder: Path, index: Index, clock: Clock, verifies: Verifier | None = None
    ) -> None:
        self._folder, self._index, self._clock, self._verifies = folder, index, clock, verifies
        self._log = log.get("buffer.restoring")
        self.found = Restored()
        self._newer: dict[str, Line] = {}  # of each group: the line behind the next one

    def begin(self) -> None:
        """Note what there is to be read back into the new index, and read the newest files."""
        with self._index.transaction() as db:
            db.executemany("INSERT INTO to_restore (what, a) VALUES (?, 1)", [(BEGUN,), (_LEFT,)])
            for group in GROUPS:
                names = [(path.name,) for path in files_of(self._folder, group)]
                db.executemany("INSERT INTO to_restore (what, a) VALUES ('file', ?)", names)
            if self._verifies is None and any(files_of(self._folder, group) for group in GROUPS):
                why = "the box's public key is not there: no line's signature was looked at"
                self._log.error("the duplicate is taken as it is", detail=why)
                journal.note(db, self._clock.utc_now(), "duplicate-unverified", DUPLICATE, why)
        for group in GROUPS:
            for path in files_of(self._folder, group)[::-1][:_AT_ONCE]:
                self._read(path, group)

    def turn(self) -> bool:
        """Read the newest file that is left; return whether there was one."""
        with self._index.reading() as db:
            left = db.execute("SELECT 1 FROM to_restore WHERE what = ?", (_LEFT,)).fetchone()
            name = db.execute("SELECT max(a) FROM to_restore WHERE what = 'file'").fetchone()[0]
        if name is not None:
            self._read(self._folder / DUPLICATE / name, name.partition("-")[0])
        elif left is not None:
            self._end()
        return name is not None

    def run(self) -> None:
        """Read all that is left, at once."""
        while self.turn():
            pass

    def _end(self) -> None:
        _forget_deleted(self._index, self._folder, self._clock)
        with self._index.transaction() as db:
            db.execute("DELETE FROM to_restore")
        self._log.info("duplicate read back", lines=self.found.lines, rows=self.found.rows)

    def _read(self, path: Path, group: str) -> None:
        with self._index.transaction() as db, _unrecorded(db):
            there = {table: _columns(db, table) for table in tables_of(db)}
            try:
                lines = list(enumerate(lines_of(path), start=1))
                repeated = _repeated([line for _, line in lines], first_number(path))
            except OSError as error:
                lines, repeated = [], set()
                self._refuse(db, f"{path.name}: {error}")
            for number, line in reversed(lines):
                why = self._doubt(line, group)
                if not why and number in repeated:
                    why = "it was written before those in front of it"
                if not why:
                    why = self._apply(db, line.batch, there)
                if why:
                    self._refuse(db, f"{path.name}, line {number}: {why}")
                elif self._has_hole_behind(line, group):
                    self._refuse(db, f"{path.name}: lines behind line {number} are missing")
                if number not in repeated:
                    self._newer[group] = line
            db.execute("DELETE FROM to_restore WHERE what = 'file' AND a = ?", (path.name,))

    def _refuse(self, db: Connection, why: str) -> None:
        self.found.refused.append(why)
        self._log.error("not taken from the duplicate", detail=why)
        journal.note(db, self._clock.utc_now(), "duplicate-refused", DUPLICATE, why)

    def _doubt(self, line: Line, group: str) -> str:
        """Return what speaks against a line; nothing for a good one."""
        batch = line.batch
        if batch is None:
            return "it can't be read"
        if self._verifies is not None and not self._verifies(line.signature, line.body):
            return "it is not signed by this box"
        if (batch.camera, batch.group) != (self._folder.name, group):
            return f"it is of camera {batch.camera}"
        return ""

    def _has_hole_behind(self, line: Line, group: str) -> bool:
        newer = self._newer.get(group)
        known = newer.batch.previous_sha256 if newer and newer.batch else line.sha256
        return known != line.sha256

    def _apply(self, db: Connection, batch: Batch | None, there: _Columns) -> str:
        """Put a line's rows into the index, or none of them and return why."""
        if batch is None:
            return ""
        db.execute("SAVEPOINT line")
        try:
            for table, key in GROUPS[batch.group].items():
                if table in there and batch.rows.get(table):
                    _put(db, table, key, batch, there[table])
                    self.found.rows += len(batch.rows[table])
                _note_gone(db, table, batch.gone.get(table, []))
        except (DatabaseError, ArithmeticError, ValueError, TypeError, LookupError) as error:
            db.execute("ROLLBACK TO line")
            return f"{type(error).__name__}: {error}"
        finally:
            db.execute("RELEASE line")
        self.found.lines += 1
        return ""


def _repeated(lines: list[Line], number: int) -> set[int]:
    """Return which lines of a file are copies of earlier ones: what they tell is out of date.

    A file's lines bear ascending numbers, none below the file's own.
    """
    repeated: set[int] = set()
    for place, line in enumerate(lines, start=1):
        if line.batch is None:
            continue
        if line.batch.number < number:
            repeated.add(place)
        else:
            number = line.batch.number + 1
    return repeated


@contextmanager
def _unrecorded(db: Connection) -> Iterator[None]:
    """What is put in meanwhile is not queued for the duplicate: it comes from there."""
    db.execute("INSERT OR IGNORE INTO to_restore (what, a) VALUES ('now', 1)")
    yield
    db.execute("DELETE FROM to_restore WHERE what = 'now'")


def _put(
    db: Connection, table: str, key: tuple[str, ...], batch: Batch, columns: list[str]
) -> None:
    told = batch.columns[table]
    names = [name for name in told if name in columns]  # a newer version's are left out
    places = [told.index(name) for name in names]
    rows = [[_from_json(row[place]) for place in places] for row in batch.rows[table]]
    marks = ", ".join(f"?{number}" for number in range(1, len(names) + 1))
    known = [f"?{names.index(name) + 1}" for name in (*key, "")[:2] if name] + ["0"]
    where = _not_noted(table, *known[:2])
    how = "INSERT OR IGNORE"
    behind = ""
    if table == "segments":
        _know_runs(db, names, rows)
        path = f"?{names.index('path') + 1}"
        where += f" AND {_not_noted('deleted', path)}"
    elif table == "deletions":
        at = names.index("path")
        paths = [(row[at],) for row in rows]
        db.executemany("INSERT OR IGNORE INTO to_restore (what, a) VALUES ('deleted', ?)", paths)
    elif table == "runs":  # in the place of what a segment alone told of it
        how = "INSERT"
        news = ", ".join(f"{name} = excluded.{name}" for name in names)
        behind = (
            f" ON CONFLICT (run_id) DO UPDATE SET {news} WHERE runs.time_quality = '{_UNKNOWN}'"
        )
    db.executemany(
        f"{how} INTO {table} ({', '.join(names)}) SELECT {marks} WHERE {where}{behind}",
        rows,
    )


def _not_noted(what: str, first: str, second: str = "0") -> str:
    noted = f"SELECT 1 FROM to_restore WHERE what = '{what}' AND a = {first} AND b = {second}"  # noqa: S608
    return f"NOT EXISTS ({noted})"


def _know_runs(db: Connection, names: list[str], rows: list[list[Any]]) -> None:
    """A segment needs its run, of which an older line tells, or a lost one."""
    run, stream, start = (names.index(name) for name in ("run_id", "stream", "start_utc_us"))
    first = {row[run]: row for row in reversed(rows)}
    db.executemany(
        _STUB, [(row[run], row[stream], row[start], _UNKNOWN, _UNKNOWN) for row in first.values()]
    )


def _note_gone(db: Connection, table: str, keys: list[list[Any]]) -> None:
    """An older line's rows under these keys are no more."""
    db.executemany(
        "INSERT OR IGNORE INTO to_restore (what, a, b) VALUES (?,?,?)",
        [(table, *key, 0)[:3] for key in keys],
    )


def _forget_deleted(index: Index, folder: Path, clock: Clock) -> None:
    """Rows older than every file were deleted after the duplicate's last line, and are no loss."""
    doomed: list[Doomed] = []
    with index.reading() as db:
        for stream in ("main", "sub"):
            for row in db.execute(
                "SELECT segment_id, path, bytes, start_utc_us, duration_us FROM segments"
                " WHERE state = 'closed' AND stream = ? ORDER BY start_utc_us",
                (stream,),
            ):
                if (folder / row["path"]).exists():
                    break
                segment_id, relative, size_bytes, start_us, duration_us = row
                one = Doomed(segment_id, relative, size_bytes, start_us, duration_us, BEFORE)
                doomed.append(one)
    if doomed:
        journal.forget(index, doomed, clock.utc_now())


def _columns(db: Connection, table: str) -> list[str]:
    return [row["name"] for row in db.execute(f"PRAGMA table_info({table})")]


def _from_json(value: Any) -> Any:
    return base64.b64decode(value["b"]) if isinstance(value, dict) else value
