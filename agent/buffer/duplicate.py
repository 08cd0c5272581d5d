"""What the index alone knows, written a second time: signed lines of text in a folder beside it.

Should the index be lost, `agent.buffer.restoring` reads them back. The index queues each row that
is new or changed in the transaction that writes it (`unrecorded`, by triggers); every ten minutes
one batch of them becomes a line, signed and linked to the line before it, and is synced: three
flushes. A run or a gap that begins or ends is not kept waiting longer than a minute.

`index-duplicate/GROUP-NUMBER.jsonl`; GROUP is `video`, whose files go with their video, or
`ledger`, kept for good. A line is: JSON of `Batch`, tab, id of the key, tab, signature (base64).
"""

import base64
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import msgspec
from msgspec import Struct

from agent.buffer.index import DUPLICATE, Index
from agent.buffer.journal import Signer
from agent.buffer.segment_file import sync_folder
from agent.core.clock import Clock

VIDEO, LEDGER = "video", "ledger"
FIRST = "0" * 64
WRITE_EVERY_S, SOONEST_S = 600.0, 60.0
FILE_BYTES = 4 * 1024**2  # about a day of a camera with a key frame a second
_MOST_ROWS = 3_000  # of one batch: what waits after an update is written bit by bit
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

RESTORING = "SELECT 1 FROM to_restore WHERE what = 'now'"  # what is read back is known already

_Key = tuple[str, Any, Any]  # table, and the two parts of its key; 0 where it has but one


class Batch(Struct, frozen=True, kw_only=True):
    """One line. Bytes are `{"b": BASE64}`; `gone` are keys of rows that are there no more."""

    group: str
    camera: str
    number: int
    at: datetime
    previous_sha256: str
    columns: dict[str, list[str]]
    rows: dict[str, list[list[Any]]]
    gone: dict[str, list[list[Any]]] = {}


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
    ) -> None:
        """Without `signer` the lines are not signed: the box has no key."""
        self._file_bytes, self._stragglers = file_bytes, stragglers
        self._folder, self._index, self._clock = folder, index, clock
        self._signer = signer or (lambda _: ("", b""))
        self._due_mono_s = clock.monotonic_s() + WRITE_EVERY_S
        self._is_begun = False
        self._oldest: Path | None = None  # to go, once what is left of it has been written anew

    def turn(self) -> None:
        """Write what waits when it is time. Raises `OSError` or `StorageError`."""
        if self._clock.monotonic_s() < self._due_mono_s:
            with self._index.reading() as db:
                if db.execute(f"SELECT 1 FROM unrecorded WHERE {_URGENT}").fetchone() is None:  # noqa: S608
                    return
        self.write()

    def write(self) -> None:
        """Write a batch of each group that has something to tell."""
        with self._index.transaction() as db:  # nobody else appends to the files meanwhile
            doomed = self._oldest
            written = [self._write_group(db, group) for group in GROUPS]
            is_all = all(written)
            if is_all and doomed is not None:
                doomed.unlink(missing_ok=True)
                self._oldest = None
            elif not self._is_begun:
                self._look_at_oldest(db)
            self._is_begun = True
        if is_all:
            self._due_mono_s = self._clock.monotonic_s() + WRITE_EVERY_S

    def _write_group(self, db: Connection, group: str) -> bool:
        """Write the group's next batch; return whether nothing more of it waits."""
        tables = ", ".join(f"'{table}'" for table in GROUPS[group])
        keys: list[_Key] = [
            tuple(row)
            for row in db.execute(
                f"SELECT what, a, b FROM unrecorded WHERE what IN ({tables}) LIMIT ?",  # noqa: S608
                (_MOST_ROWS,),
            )
        ]
        if not keys:
            return True
        path, number, previous = _tail(self._folder, group, self._file_bytes)
        if path is None:
            path = self._folder / DUPLICATE / f"{group}-{number + 1:09d}.jsonl"
            keys = sorted({*keys, *_standing(db, group)}, key=str)
            if group == VIDEO:
                self._look_at_oldest(db)
        columns, rows, gone = _rows_of(db, keys)
        batch = Batch(
            group=group,
            camera=self._folder.name,
            number=number + 1,
            at=self._clock.utc_now(),
            previous_sha256=previous,
            columns=columns,
            rows=rows,
            gone=gone,
        )
        body = msgspec.json.encode(batch)
        _append(path, body, *self._signer(body))
        db.executemany("DELETE FROM unrecorded WHERE what = ? AND a = ? AND b = ?", keys)
        return len(keys) < _MOST_ROWS

    def _look_at_oldest(self, db: Connection) -> None:
        """The oldest file goes when little of its video is left; that is written anew before."""
        files = files_of(self._folder, VIDEO)
        if len(files) < 2:
            return
        left = _left_of(db, files[0])
        if len(left) <= self._stragglers:
            _queue(db, left)
            self._oldest = files[0]


class Line(Struct, frozen=True):
    """A line as it stands in a file; `batch` is None where it can't be read."""

    body: bytes
    batch: Batch | None
    signature: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


def files_of(folder: Path, group: str) -> list[Path]:
    """Return the files of a camera's duplicate, oldest first."""
    return sorted((folder / DUPLICATE).glob(f"{group}-*.jsonl"))


def lines_of(path: Path) -> Iterator[Line]:
    """Yield a file's lines; what a power cut left of the last one is none. Raises `OSError`."""
    for raw in _raw_lines(path):
        body, _, rest = raw.partition(b"\t")
        batch, signature = None, b""
        with suppress(msgspec.MsgspecError, ValueError):
            signature = base64.b64decode(rest.partition(b"\t")[2])
            batch = msgspec.json.decode(body, type=Batch)
        yield Line(body, batch, signature)


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
            for table in _keys():
                if table in there:
                    _queue_all(db, table)


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
            # no OR IGNORE: here the outer statement's way with conflicts would count
            " WHERE NOT EXISTS (SELECT 1 FROM unrecorded"
            f" WHERE what = '{table}' AND a = {row}.{key[0]} AND b = {second}); END"
        )


def _queue_all(db: Connection, table: str) -> None:
    key = _keys()[table]
    second = key[1] if len(key) > 1 else "0"
    db.execute(
        f"INSERT OR IGNORE INTO unrecorded (what, a, b) SELECT '{table}', {key[0]}, {second}"  # noqa: S608
        f" FROM {table}"
    )


def _queue(db: Connection, keys: Iterable[_Key]) -> None:
    db.executemany("INSERT OR IGNORE INTO unrecorded (what, a, b) VALUES (?,?,?)", keys)


def _left_of(db: Connection, path: Path) -> list[_Key]:
    """Return the keys of a file's rows that the index still holds, of what goes with its video."""
    keys: set[_Key] = set()
    for batch in (line.batch for line in lines_of(path) if line.batch is not None):
        for table in set(batch.rows) & set(_CARRIED_ON):
            places = [batch.columns[table].index(name) for name in _keys()[table]]
            for row in batch.rows[table]:
                keys.add((table, row[places[0]], row[places[1]] if len(places) > 1 else 0))
    there = tables_of(db)
    return [key for key in keys if key[0] in there and _is_kept(db, key)]


def _is_kept(db: Connection, key: _Key) -> bool:
    table, *values = key
    names = _keys()[table]
    where = " AND ".join(f"{name} = ?" for name in names) + _CARRIED_ON[table]
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
        tables = ("runs", "chain_runs") if "chain_runs" in tables_of(db) else ("runs",)
        keys += [(table, run_id, 0) for run_id in runs for table in tables]
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


def _tail(folder: Path, group: str, file_bytes: int) -> tuple[Path | None, int, str]:
    """Return (file to go on with, None for a new one; number and hash of the last line)."""
    files = files_of(folder, group)
    if not files:
        return None, 0, FIRST
    number, previous = int(files[-1].stem.rpartition("-")[2]) - 1, FIRST
    for line in lines_of(files[-1]):
        number = line.batch.number if line.batch else number + 1
        previous = line.sha256
    is_full = files[-1].stat().st_size >= file_bytes
    return None if is_full else files[-1], number, previous


def _append(path: Path, body: bytes, key_id: str, signature: bytes) -> None:
    """Put a line behind the others, or, when the disk refuses it, nothing."""
    is_new = not path.exists()
    path.parent.mkdir(exist_ok=True)
    whole_bytes = 0 if is_new else sum(len(line) for line in _raw_lines(path))
    line = b"\t".join((body, key_id.encode(), base64.b64encode(signature))) + b"\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.ftruncate(handle, whole_bytes)  # behind it is what a power cut left
        with os.fdopen(os.dup(handle), "wb") as file:
            file.seek(whole_bytes)
            file.write(line)
            file.flush()
            os.fsync(handle)
    except OSError:
        with suppress(OSError):
            os.ftruncate(handle, whole_bytes)
        raise
    finally:
        os.close(handle)
    if is_new:
        sync_folder(path.parent)
        sync_folder(path.parent.parent)


def _raw_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from (raw for raw in file if raw.endswith(b"\n"))


def _keys() -> dict[str, tuple[str, ...]]:
    return {table: key for tables in GROUPS.values() for table, key in tables.items()}


def tables_of(db: Connection) -> set[str]:
    """Return the names of an index's tables: which there are depends on who opened it."""
    rows = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return {row[0] for row in rows}


def _to_json(value: object) -> object:
    return {"b": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
