"""What the box has to tell and the center has not yet acknowledged, in tables of `box.db`.

One table per stream; rowid = `seq`, contiguous within the database's random `epoch`. Rows at or
below the center's watermark are the journal: kept some days for replay and for the latency report.
A number that is not there any more is read as a `Gap`, so the center's watermark never stalls.
Runs in the database's writer thread, inside the caller's transaction.
"""
# ruff: noqa: S608  (table names come from the StreamName enum, never from outside)

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.contract.acks import Ack, Acks
from agent.contract.events import Gap, GapReason, StreamName
from agent.contract.records import encode_gap
from agent.contract.topics import CHANNEL_OF, MAX_BYTES
from agent.core.clock import Clock
from agent.core.db import Part
from agent.core.errors import StorageError
from agent.core.ids import new_epoch
from agent.outbox import eviction, given_up, replay
from agent.outbox.ages import Ages, MaxAge
from agent.outbox.eviction import ROW_BYTES

_TABLE = """
CREATE TABLE outbox_{0} (
    seq INTEGER PRIMARY KEY, event_id TEXT NOT NULL, phase TEXT NOT NULL, boot INTEGER NOT NULL,
    true_mono_s REAL, queued_mono_s REAL NOT NULL, body BLOB NOT NULL);
INSERT INTO outbox_heads (stream) VALUES ('{0}');
"""
PART = Part(
    "outbox",
    [
        """
CREATE TABLE outbox_epoch (epoch TEXT NOT NULL);
CREATE TABLE outbox_heads (
    stream TEXT PRIMARY KEY, next_seq INTEGER NOT NULL DEFAULT 1, acked INTEGER NOT NULL DEFAULT 0,
    rows INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,
    kept_bytes INTEGER NOT NULL DEFAULT 0, evicted_total INTEGER NOT NULL DEFAULT 0);
CREATE TABLE outbox_acks (
    stream TEXT NOT NULL, upto INTEGER NOT NULL, boot INTEGER NOT NULL, acked_mono_s REAL NOT NULL,
    acked_at TEXT NOT NULL, PRIMARY KEY (stream, upto)) WITHOUT ROWID;
"""
        + "".join(_TABLE.format(stream.value) for stream in StreamName)
        + "CREATE INDEX outbox_e_updates ON outbox_e (seq) WHERE phase = 'update';",
        """
CREATE TABLE outbox_ages (stream TEXT NOT NULL, upto INTEGER NOT NULL, at TEXT NOT NULL);
ALTER TABLE outbox_heads ADD COLUMN aged_upto INTEGER NOT NULL DEFAULT 0;
""",
        given_up.TABLE,
    ],
)


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it is sent: its bytes and the numbers it accounts for (many, in a gap)."""

    seq: int
    last_seq: int
    body: bytes


@dataclass(frozen=True, slots=True)
class StreamCounts:
    """One stream. Every number below `next_seq` is acknowledged, waiting, or evicted."""

    next_seq: int
    acked: int
    waiting: int
    waiting_bytes: int
    evicted_total: int
    oldest_mono_s: float | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """The life of one record, for the report: all times monotonic, `boot` says of which boot."""

    stream: StreamName
    seq: int
    event_id: str
    phase: str
    boot: int
    true_mono_s: float | None
    queued_mono_s: float
    acked_boot: int | None
    acked_mono_s: float | None


class Store:
    """The outbox's tables, bounded by bytes and age. When only alarms are left it refuses more."""

    def __init__(
        self,
        clock: Clock,
        boot: int,
        *,
        max_bytes: int,
        keep_acked_days: float = 7.0,
        max_age: MaxAge = MaxAge(),  # noqa: B008 - frozen
    ) -> None:
        self._clock, self.boot = clock, boot
        self._ages = Ages(clock, max_age)
        self._max_bytes, self._keep = max_bytes, timedelta(days=keep_acked_days)
        self.epoch = ""

    def open(self, connection: sqlite3.Connection) -> None:
        """Read the epoch, or make it when the outbox is new. Call once, before anything else."""
        row = connection.execute("SELECT epoch FROM outbox_epoch").fetchone()
        if row is None:
            self.epoch = new_epoch()
            connection.execute("INSERT INTO outbox_epoch (epoch) VALUES (?)", (self.epoch,))
        else:
            self.epoch = row["epoch"]

    def append(
        self,
        connection: sqlite3.Connection,
        stream: StreamName,
        build: Callable[[int], bytes],
        *,
        event_id: str,
        phase: str = "new",
        true_mono_s: float | None = None,
    ) -> int:
        """Queue the record that `build(seq)` encodes and return its number.

        Raises `StorageError` `outbox.too_large` or `outbox.full`; then no number is used up.
        """
        seq: int = self._head(connection, stream)["next_seq"]
        body = build(seq)
        if len(body) + 2 > MAX_BYTES[CHANNEL_OF[stream]]:
            raise StorageError("outbox.too_large", f"A record of {len(body)} bytes can't be sent.")
        size = len(body) + ROW_BYTES
        eviction.make_room(connection, size, self._max_bytes)
        connection.execute(
            f"INSERT INTO outbox_{stream.value} (seq, event_id, phase, boot, true_mono_s,"
            " queued_mono_s, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (seq, event_id, phase, self.boot, true_mono_s, self._clock.monotonic_s(), body),
        )
        connection.execute(
            "UPDATE outbox_heads SET next_seq = next_seq + 1, rows = rows + 1, bytes = bytes + ?"
            " WHERE stream = ?",
            (size, stream.value),
        )
        self._ages.look(connection)
        return seq

    def read(
        self,
        connection: sqlite3.Connection,
        stream: StreamName,
        after: int,
        *,
        limit: int = 50,
        max_bytes: int = 32 * 1024,
    ) -> list[Record]:
        """Return the records behind number `after`, oldest first, with a gap for what is gone.

        At most `limit` records and `max_bytes` of bodies, but at least one record if there is any.
        """
        head = self._head(connection, stream)
        found: list[Record] = []
        size = 0
        for record in self._records(connection, stream, after, limit, head):
            size += len(record.body) + 1
            if found and (len(found) == limit or size > max_bytes):
                break
            found.append(record)
        return found

    def acknowledge(self, connection: sqlite3.Connection, acks: Acks) -> dict[StreamName, int]:
        """Move the watermarks up as far as `acks` of this epoch say; return where they are now."""
        marks: dict[StreamName, int] = {}
        moved = False
        for stream, ack in acks.items():
            if ack.epoch != self.epoch:
                continue
            head = self._head(connection, stream)
            marks[stream] = max(ack.upto, head["acked"])
            if ack.upto <= head["acked"]:
                continue
            rows, size = connection.execute(
                f"SELECT count(*), total(length(body) + {ROW_BYTES}) FROM outbox_{stream.value}"
                " WHERE seq > ? AND seq <= ?",
                (head["acked"], ack.upto),
            ).fetchone()
            used_twice = self._used_twice(connection, stream, ack, head)
            # A center that has more than we ever queued saw what a power cut took from our disk:
            # those numbers must not be used again.
            connection.execute(
                "UPDATE outbox_heads SET acked = ?, next_seq = max(next_seq, ?), rows = rows - ?,"
                " bytes = bytes - ?, kept_bytes = kept_bytes + ? WHERE stream = ?",
                (ack.upto, ack.upto + 1, rows, int(size), int(size), stream.value),
            )
            connection.execute(
                "INSERT INTO outbox_acks (stream, upto, boot, acked_mono_s, acked_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (stream.value, ack.upto, self.boot, *self._now()),
            )
            given_up.forget(connection, stream, ack.upto)
            replay.requeue(connection, self, stream, used_twice)
            moved = True
        if moved:
            eviction.forget_older(connection, _stamp(self._clock.utc_now() - self._keep))
        return marks

    def counts(self, connection: sqlite3.Connection) -> dict[StreamName, StreamCounts]:
        """Return the counters of every stream."""
        return {stream: self._counts(connection, stream) for stream in StreamName}

    def deliveries(self, connection: sqlite3.Connection, stream: StreamName) -> list[Delivery]:
        """Return the life of each record still known, oldest first."""
        rows = connection.execute(
            "SELECT seq, event_id, phase, r.boot, true_mono_s, queued_mono_s, a.boot AS acked_boot,"
            f" acked_mono_s FROM outbox_{stream.value} r LEFT JOIN outbox_acks a"
            " ON a.stream = ? AND a.upto = (SELECT min(upto) FROM outbox_acks"
            " WHERE stream = ? AND upto >= r.seq) ORDER BY seq",
            (stream.value, stream.value),
        )
        return [Delivery(stream, *row) for row in rows]

    def _used_twice(
        self, connection: sqlite3.Connection, stream: StreamName, ack: Ack, head: sqlite3.Row
    ) -> list[int]:
        """Return numbers that were given to new records although the center knew them.

        It shows when a disk that lied about its flushes lost rows: the center has more than we
        ever queued, or another record under the same number. The center's word is the first thing
        heard at each connection, so all boots since it was heard last are suspect: what they
        queued is sent again under new numbers, with its ids, rather than lost.
        """
        row = connection.execute(
            f"SELECT event_id FROM outbox_{stream.value} WHERE seq = ?", (ack.upto,)
        ).fetchone()
        is_other = row is not None and ack.id not in ("", row["event_id"])
        if ack.upto < head["next_seq"] and not is_other:
            return []
        heard_boot: int = connection.execute(
            "SELECT coalesce(max(boot), 0) FROM outbox_acks WHERE boot < ?", (self.boot,)
        ).fetchone()[0]
        rows = connection.execute(
            f"SELECT seq FROM outbox_{stream.value} WHERE seq > ? AND seq <= ? AND boot > ?",
            (head["acked"], ack.upto, heard_boot),
        )
        return [row["seq"] for row in rows]

    def _now(self) -> tuple[float, str]:
        return self._clock.monotonic_s(), _stamp(self._clock.utc_now())

    def _head(self, connection: sqlite3.Connection, stream: StreamName) -> sqlite3.Row:
        row: sqlite3.Row = connection.execute(
            "SELECT * FROM outbox_heads WHERE stream = ?", (stream.value,)
        ).fetchone()
        return row

    def _records(
        self,
        connection: sqlite3.Connection,
        stream: StreamName,
        after: int,
        limit: int,
        head: sqlite3.Row,
    ) -> Iterator[Record]:
        expected = after + 1
        rows = connection.execute(
            f"SELECT seq, body FROM outbox_{stream.value} WHERE seq > ? ORDER BY seq LIMIT ?",
            (after, limit),
        ).fetchall()
        for row in rows:
            if row["seq"] > expected:
                yield from self._gaps(connection, stream, expected, row["seq"] - 1, head)
            yield Record(row["seq"], row["seq"], row["body"])
            expected = row["seq"] + 1
        if len(rows) < limit and expected < head["next_seq"]:
            last = head["next_seq"] - 1
            yield from self._gaps(connection, stream, expected, last, head)

    def _gaps(
        self,
        connection: sqlite3.Connection,
        stream: StreamName,
        first: int,
        last: int,
        head: sqlite3.Row,
    ) -> Iterator[Record]:
        """What was acknowledged once had its time; the rest was too old, or had no room."""
        acked = min(last, head["acked"])
        parts = [(first, acked, GapReason.EXPIRED)] if first <= acked else []
        parts += given_up.reasons(connection, stream, max(first, acked + 1), last)
        for low, high, why in parts:
            gap = Gap(stream=stream, epoch=self.epoch, seq=low, until_seq=high, why=why.value)
            yield Record(low, high, encode_gap(gap))

    def _counts(self, connection: sqlite3.Connection, stream: StreamName) -> StreamCounts:
        head = self._head(connection, stream)
        oldest = connection.execute(
            f"SELECT queued_mono_s, boot FROM outbox_{stream.value} WHERE seq > ?"
            " ORDER BY seq LIMIT 1",
            (head["acked"],),
        ).fetchone()
        oldest_mono_s = oldest["queued_mono_s"] if oldest and oldest["boot"] == self.boot else None
        return StreamCounts(
            head["next_seq"],
            head["acked"],
            head["rows"],
            head["bytes"],
            head["evicted_total"],
            oldest_mono_s,
        )


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
