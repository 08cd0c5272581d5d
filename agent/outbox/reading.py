"""What the outbox holds, read beside the running agent or from a taken disk."""
# ruff: noqa: S608  (table names come from the StreamName enum, never from outside)

import sqlite3

import msgspec
from msgspec import Struct

from agent.contract.events import StreamName, UtcTime


class StreamReport(Struct, frozen=True, kw_only=True):
    """One stream: numbers up to `acked` are at the center, `waiting` are not yet.

    `kept` acknowledged ones can still be replayed, from number `kept_from` on.
    """

    stream: StreamName
    next_seq: int
    acked: int
    waiting: int
    waiting_bytes: int
    evicted_total: int
    oldest_waiting: UtcTime | None
    last_acked_at: UtcTime | None
    kept: int
    kept_from: int | None


class _Timed(Struct):
    time: UtcTime


def streams(connection: sqlite3.Connection) -> list[StreamReport]:
    """Return all streams."""
    rows = connection.execute("SELECT * FROM outbox_heads ORDER BY stream")
    return [_stream(connection, row) for row in rows]


def _stream(connection: sqlite3.Connection, head: sqlite3.Row) -> StreamReport:
    stream = StreamName(head["stream"])
    table, acked = f"outbox_{stream.value}", head["acked"]
    oldest = connection.execute(
        f"SELECT body FROM {table} WHERE seq > ? ORDER BY seq LIMIT 1", (acked,)
    ).fetchone()
    kept, kept_from = connection.execute(
        f"SELECT count(*), min(seq) FROM {table} WHERE seq <= ?", (acked,)
    ).fetchone()
    acked_at = connection.execute(
        "SELECT max(acked_at) FROM outbox_acks WHERE stream = ?", (stream.value,)
    ).fetchone()[0]
    return StreamReport(
        stream=stream,
        next_seq=head["next_seq"],
        acked=acked,
        waiting=head["rows"],
        waiting_bytes=head["bytes"],
        evicted_total=head["evicted_total"],
        oldest_waiting=None if oldest is None else _time_of(oldest["body"]),
        last_acked_at=None if acked_at is None else msgspec.convert(acked_at, UtcTime),
        kept=kept,
        kept_from=kept_from,
    )


def _time_of(body: bytes) -> UtcTime | None:
    try:
        return msgspec.json.decode(body, type=_Timed).time
    except msgspec.MsgspecError:
        return None
