"""What the index alone knows, written a second time: signed lines of text in a folder beside it.

Should the index be lost, `agent.buffer.restoring` reads them back. The index queues each row that
is new or changed in the transaction that writes it (`unrecorded`, by triggers); every ten minutes
one batch of them becomes a line, signed and linked to the line before it, and is synced: three
flushes. A run or a gap that begins or ends is not kept waiting longer than a minute.

Its files (`agent.buffer.duplicate_files`) are of two groups: those of `video` go with their video,
a day's after it and none later than retention says; those of `ledger` are kept for good.
"""

import base64
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import msgspec

from agent.buffer.duplicate_files import Batch, append, files_of, lines_of, tail_of
from agent.buffer.index import DUPLICATE, Index
from agent.buffer.journal import Signer
from agent.core.clock import Clock

VIDEO, LEDGER = "video", "ledger"
WRITE_EVERY_S, SOONEST_S, LOOK_EVERY_S = 600.0, 60.0, 21_600.0
FILE_BYTES = 4 * 1024**2  # about a day of a camera with a key frame a second
FILE_LASTS = timedelta(days=1)
_MOST_ROWS = 3_000  # of one batch
_STEP_ROWS = 1_000  # of each table, queued with a batch, while an index is written down as a whole
_MOST_FILES = 4  # looked at in one go
STRAGGLERS = 2_000  # rows of locked video that are written anew so that an old file can go

# Each table with its key, in the order in which rows may be put back.
GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    VIDEO: {
        "deletions": ("deletion_id",),
        "journal": ("entry_id",),
        "locks": ("lock_id",),
        "runs": ("run_id",),
        "segments": ("segment_id",),
        "chain_runs": ("run_id",),
        "segment_gops": ("segment_id",),
        "thinned_gops": ("segment_id",),
        "signed_heads": ("run_id", "seq"),
        "chain_head": ("one",),
        "sub_chain_head": ("one",),
    },
    LEDGER: {
        "gaps": ("gap_id",),
        "minutes": ("minute",),
        "event_minutes": ("minute",),
        "rates": ("since_utc_us",),
        "purges": ("purge_id",),
        "corrections": ("correction_id",),
        "clock_proofs": ("boot_id",),
    },
}
_GO_UNTOLD = {  # their rows go with others, or to another key; of segments, `deletions` tells
    *("minutes", "event_minutes", "rates"),
    *("chain_runs", "segment_gops", "thinned_gops", "signed_heads"),
}
# What of an old file is written anew while the index holds it, and only where this is so.
_CARRIED_ON = {
    "locks": " AND released_utc_us IS NULL",
    "runs": " AND run_id IN (SELECT run_id FROM segments)",
    "segments": "",
    "chain_runs": "",
    "segment_gops": "",
    "thinned_gops": "",
    "signed_heads": "",
}
_NUMBERED = {"deletions", "journal", "runs", "segments", "gaps", "purges"}
_URGENT = "what IN ('runs', 'gaps')"
_WHOLE = "whole"  # a table of which all is still to be queued; b: the key that was queued last

RESTORING = "SELECT 1 FROM to_restore WHERE what = 'now'"  # what is read back is known already

_Key = tuple[str, Any, Any]  # table, and the two parts of its key; 0 where it has but one


class Duplicate:
    """Writes one camera's duplicate. Called by the upkeep's thread only."""

    def __init__(
        self,
        folder: Path,
        index: Index,
        clock: Clock,
        signer: Signer | None,
        file_bytes: int = FILE_BYTES,
        stragglers: int = STRAGGLERS,
        *,
        keeps: timedelta = timedelta(days=30),
        now: Callable[[], datetime | None] | None = None,
    ) -> None:
        """Without `signer` the lines are not signed: the box has no key.

        `keeps` is how long video is kept, `now` the time by which it may be called old.
        """
        self._file_bytes, self._stragglers, self._keeps = file_bytes, stragglers, keeps
        self._folder, self._index, self._clock = folder, index, clock
        self._signer, self._now = signer or (lambda _: ("", b"")), now or clock.utc_now
        self._due_mono_s = clock.monotonic_s() + WRITE_EVERY_S
        self._look_due_mono_s = 0.0
        self._going: list[Path] = []  # to go, once what is left of them has been written anew

    def turn(self) -> None:
        """Write what waits when it is time. Raises `OSError` or `StorageError`."""
        if self._clock.monotonic_s() < self._due_mono_s:
            with self._index.reading() as db:
                if db.execute(f"SELECT 1 FROM unrecorded WHERE {_URGENT}").fetchone() is None:  # noqa: S608
                    return
        self.write()

    def write(self) -> None:
        """Write a batch of each group that has something to tell."""
        now, mono_s = self._now(), self._clock.monotonic_s()
        horizon = None if now is None else now - self._keeps
        is_to_look = mono_s >= self._look_due_mono_s
        with self._index.transaction() as db:  # nobody else appends to the files meanwhile
            going = self._going
            _queue_more(db)
            before = files_of(self._folder, VIDEO)
            written = [
                self._write_group(db, one, horizon if is_to_look else None) for one in GROUPS
            ]
            is_all = all(written) and not _is_more(db)
            if is_all:
                for path in going:
                    path.unlink(missing_ok=True)
                going = []
            is_to_look = is_to_look or files_of(self._folder, VIDEO)[-1:] != before[-1:]
            if is_to_look and not going:
                going = self._look_at_oldest(db, horizon)
        self._going = going  # not before it is certain that what is left of them is queued
        if is_to_look:
            self._look_due_mono_s = mono_s + LOOK_EVERY_S
        if is_all:
            self._due_mono_s = mono_s + WRITE_EVERY_S

    def _write_group(self, db: Connection, group: str, horizon: datetime | None) -> bool:
        """Write the group's next batch; return whether nothing more of it waits.

        A last file of `video` that was begun before `horizon` is followed by a new one in any case.
        """
        tables = ", ".join(f"'{table}'" for table in GROUPS[group])
        keys: list[_Key] = [
            tuple(row)
            for row in db.execute(
                f"SELECT what, a, b FROM unrecorded WHERE what IN ({tables}) LIMIT ?",  # noqa: S608
                (_MOST_ROWS,),
            )
        ]
        count = len(keys)
        if not keys and (group != VIDEO or horizon is None):
            return True
        tail = tail_of(self._folder, group, self._file_bytes)
        path, at = tail.path, self._clock.utc_now()
        if not keys and (horizon is None or tail.begun_at is None or tail.begun_at >= horizon):
            return True
        if group == VIDEO and tail.begun_at and abs(at - tail.begun_at) > FILE_LASTS:
            path = None
        if path is None:
            path = self._folder / DUPLICATE / f"{group}-{tail.number + 1:09d}.jsonl"
            keys = sorted({*keys, *_standing(db, group)}, key=str)
        columns, rows, gone = _rows_of(db, keys)
        batch = Batch(
            group=group,
            camera=self._folder.name,
            number=tail.number + 1,
            at=at,
            previous_sha256=tail.sha256,
            columns=columns,
            rows=rows,
            gone=gone,
        )
        body = msgspec.json.encode(batch)
        append(path, body, *self._signer(body))
        db.executemany("DELETE FROM unrecorded WHERE what = ? AND a = ? AND b = ?", keys)
        return count < _MOST_ROWS

    def _look_at_oldest(self, db: Connection, horizon: datetime | None) -> list[Path]:
        """Return which of the oldest files may go once what is left of them is written anew."""
        going: list[Path] = []
        if db.execute("SELECT 1 FROM to_restore").fetchone() is not None:
            return going  # the index does not know yet what is left
        for path in files_of(self._folder, VIDEO)[:-1][:_MOST_FILES]:
            left = self._left_to_carry_on(db, path, horizon)
            if left is None:
                break
            _queue(db, left)
            going.append(path)
        return going

    def _left_to_carry_on(
        self, db: Connection, path: Path, horizon: datetime | None
    ) -> list[_Key] | None:
        """Return what is left of a file; None where it has to stay.

        It goes when little is left, or when it is older than video may be: then that is locked.
        """
        try:
            left, written_at = _left_of(db, path)
        except OSError:  # it is good for nothing any more, but may be read tomorrow
            with suppress(OSError):
                written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                return [] if horizon is not None and written_at < horizon else None
            return None
        is_old = horizon is not None and written_at is not None and written_at < horizon
        return left if is_old or len(left) <= self._stragglers else None


def watch(index: Index, folder: Path, *, is_restored: bool) -> None:
    """Have the index queue what changes from now on.

    And all that it holds, when it is the first time or the duplicate is gone.
    """
    with index.transaction() as db:
        there = tables_of(db)
        was_watched = db.execute(
            "SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND name = 'segments_to_record_new'"
        ).fetchone()
        for table, key in _keys().items():
            if table in there:
                _watch_table(db, table, key)
        if not is_restored and not (was_watched and files_of(folder, VIDEO)):
            db.execute("DELETE FROM unrecorded WHERE what = ?", (_WHOLE,))
            _queue(db, [(_WHOLE, table, "[]") for table in _keys() if table in there])


def _watch_table(db: Connection, table: str, key: tuple[str, ...]) -> None:
    free = f" WHEN NOT EXISTS ({RESTORING})"
    only = f"{free} AND NEW.state = 'closed'" if table == "segments" else free
    changes = {"new": ("INSERT", "NEW", only), "changed": ("UPDATE", "NEW", only)}
    if table in _GO_UNTOLD:
        changes["gone"] = ("DELETE", "OLD", free)
    for name, (event, row, when) in changes.items():
        second = f"{row}.{key[1]}" if len(key) > 1 else "0"
        db.execute(
            f"CREATE TRIGGER IF NOT EXISTS {table}_to_record_{name} AFTER {event} ON {table}{when}"  # noqa: S608
            f" BEGIN INSERT INTO unrecorded (what, a, b) SELECT '{table}', {row}.{key[0]}, {second}"
            # no OR IGNORE: here the outer statement's way with conflicts would count;
            # `+`: else the column's type keeps the queue's key from being used, and all is read
            " WHERE NOT EXISTS (SELECT 1 FROM unrecorded"
            f" WHERE what = '{table}' AND a = +{row}.{key[0]} AND b = +{second}); END"
        )


def _queue_more(db: Connection) -> None:
    """Queue the next rows of each table that is to be written down as a whole, in steps.

    All of them at once would keep a start from recording: a month of a camera is 600,000 rows.
    """
    if db.execute("SELECT 1 FROM unrecorded LIMIT 1 OFFSET ?", (_MOST_ROWS,)).fetchone():
        return
    waits = db.execute("SELECT a, b FROM unrecorded WHERE what = ?", (_WHOLE,)).fetchall()
    for table, done in waits:
        last = msgspec.json.decode(done)
        names = ", ".join(_keys()[table])
        where = f"WHERE ({names}) > ({', '.join('?' * len(last))})" if last else ""
        keys = db.execute(
            f"SELECT {names} FROM {table} {where} ORDER BY {names} LIMIT ?",  # noqa: S608
            (*last, _STEP_ROWS),
        ).fetchall()
        _queue(db, [(table, row[0], row[1] if len(row) > 1 else 0) for row in keys])
        db.execute("DELETE FROM unrecorded WHERE what = ? AND a = ?", (_WHOLE, table))
        if len(keys) == _STEP_ROWS:
            _queue(db, [(_WHOLE, table, msgspec.json.encode(tuple(keys[-1])).decode())])


def _is_more(db: Connection) -> bool:
    query = "SELECT 1 FROM unrecorded WHERE what = ?"
    return db.execute(query, (_WHOLE,)).fetchone() is not None


def _queue(db: Connection, keys: Iterable[_Key]) -> None:
    db.executemany("INSERT OR IGNORE INTO unrecorded (what, a, b) VALUES (?,?,?)", keys)


def _left_of(db: Connection, path: Path) -> tuple[list[_Key], datetime | None]:
    """Return the keys of a file's rows that the index still holds, of what goes with its video.

    And when its last line was written.
    """
    keys: set[_Key] = set()
    at: datetime | None = None
    for batch in (line.batch for line in lines_of(path) if line.batch is not None):
        at = batch.at
        for table in set(batch.rows) & set(_CARRIED_ON):
            places = [batch.columns[table].index(name) for name in _keys()[table]]
            for row in batch.rows[table]:
                keys.add((table, row[places[0]], row[places[1]] if len(places) > 1 else 0))
    there = tables_of(db)
    return [key for key in keys if key[0] in there and _is_kept(db, key)], at


def _is_kept(db: Connection, key: _Key) -> bool:
    return _is_there(db, key, _CARRIED_ON[key[0]])


def _is_there(db: Connection, key: _Key, also: str = "") -> bool:
    table, *values = key
    names = _keys()[table]
    where = " AND ".join(f"{name} = ?" for name in names) + also
    query = f"SELECT 1 FROM {table} WHERE {where}"  # noqa: S608
    return db.execute(query, values[: len(names)]).fetchone() is not None


def _standing(db: Connection, group: str) -> list[_Key]:
    """A file stands for itself: it begins with the runs that are on, and with the last numbers.

    So the newest files tell which numbers are taken.
    """
    keys: list[_Key] = []
    for table in _NUMBERED & set(GROUPS[group]):
        (name,) = GROUPS[group][table]
        last = db.execute(f"SELECT max({name}) FROM {table}").fetchone()[0]  # noqa: S608
        keys += [(table, last, 0)] if last is not None else []
    if group == VIDEO:
        query = "SELECT run_id FROM runs WHERE ended_cause IS NULL"
        runs = [row[0] for row in db.execute(query)]
        there = tables_of(db)
        tables = ("runs", "chain_runs") if "chain_runs" in there else ("runs",)
        keys += [(table, run_id, 0) for run_id in runs for table in tables]
        heads = {"chain_head", "sub_chain_head"} & there
        keys += [(table, 1, 0) for table in heads if _is_there(db, (table, 1, 0))]
    return keys


def _rows_of(
    db: Connection, keys: Sequence[_Key]
) -> tuple[dict[str, list[str]], dict[str, list[list[Any]]], dict[str, list[list[Any]]]]:
    """Return columns and rows by table, and the keys whose row is gone."""
    columns: dict[str, list[str]] = {}
    rows: dict[str, list[list[Any]]] = {}
    gone: dict[str, list[list[Any]]] = {}
    for table, first, second in keys:
        key = _keys()[table]
        place = (first, second)[: len(key)]
        where = " AND ".join(f"{name} = ?" for name in key)
        row = db.execute(f"SELECT * FROM {table} WHERE {where}", place).fetchone()  # noqa: S608
        if row is None:
            gone.setdefault(table, []).append(list(place))
        elif table != "segments" or (
            row["state"] == "closed" and str(row["path"]).startswith("video/")
        ):
            columns.setdefault(table, list(row.keys()))
            rows.setdefault(table, []).append([_to_json(value) for value in row])
    return columns, rows, gone


def _keys() -> dict[str, tuple[str, ...]]:
    return {table: key for tables in GROUPS.values() for table, key in tables.items()}


def tables_of(db: Connection) -> set[str]:
    """Return the names of an index's tables: which there are depends on who opened it."""
    rows = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return {row[0] for row in rows}


def _to_json(value: object) -> object:
    return {"b": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
