"""Keeping the outbox within its bytes and its age: what is given up first, and what never.

First what the center has already acknowledged, oldest first; then waiting telemetry roll-ups, then
`update` phases of events, then other events. Alarms and audit entries are never given up.
"""
# ruff: noqa: S608  (table names come from the StreamName enum, never from outside)

import sqlite3

from agent.contract.events import GapReason, StreamName
from agent.core.errors import StorageError
from agent.outbox import given_up

ROW_BYTES = 96  # what a row costs beside its body
_HEADROOM = 64  # making room frees a 64th of the limit at once, not a row each time
AGED_AT_ONCE = 1000  # rows; the writer has others waiting

_KEPT_ORDER = (StreamName.TELEMETRY, StreamName.EVENT, StreamName.AUDIT, StreamName.ALARM)
_WAITING_ORDER = (
    (StreamName.TELEMETRY, "1"),
    (StreamName.EVENT, "phase = 'update'"),
    (StreamName.EVENT, "1"),
)


def make_room(connection: sqlite3.Connection, size: int, max_bytes: int) -> None:
    """Give up rows until `size` more bytes fit. Raises `StorageError` when they can't."""
    used: int = connection.execute("SELECT sum(bytes + kept_bytes) FROM outbox_heads").fetchone()[0]
    excess = used + size - max_bytes
    if excess <= 0:
        return
    wanted = excess + max_bytes // _HEADROOM
    freed = 0
    for stream in _KEPT_ORDER:
        freed += _forget(connection, stream, wanted - freed)
    for stream, which in _WAITING_ORDER:
        freed += _give_up(connection, stream, which, wanted - freed)
    if freed < excess:
        raise StorageError(
            "outbox.full",
            "The outbox is full of records that the center has not acknowledged.",
            hint="Repair the connection to the center, or raise `outbox.max_bytes`.",
            retryable=True,
        )


def forget_older(connection: sqlite3.Connection, than: str) -> None:
    """Drop acknowledged rows whose acknowledgement came before `than` (ISO 8601 UTC)."""
    rows = connection.execute(
        "SELECT stream, max(upto) AS upto FROM outbox_acks WHERE acked_at < ? GROUP BY stream",
        (than,),
    ).fetchall()
    for row in rows:
        _drop_kept(connection, StreamName(row["stream"]), row["upto"])


def _forget(connection: sqlite3.Connection, stream: StreamName, wanted: int) -> int:
    upto = _reaching(connection, stream, "seq <= ?", wanted)
    return 0 if upto is None else _drop_kept(connection, stream, upto)


def _drop_kept(connection: sqlite3.Connection, stream: StreamName, upto: int) -> int:
    freed = _delete(connection, stream, "seq <= ?", upto)[1]
    connection.execute(
        "UPDATE outbox_heads SET kept_bytes = kept_bytes - ? WHERE stream = ?",
        (freed, stream.value),
    )
    connection.execute(
        "DELETE FROM outbox_acks WHERE stream = ? AND upto <= ?", (stream.value, upto)
    )
    return freed


def _give_up(connection: sqlite3.Connection, stream: StreamName, which: str, wanted: int) -> int:
    """Delete the oldest waiting rows; they will be read as gaps."""
    upto = _reaching(connection, stream, f"seq > ? AND {which}", wanted)
    return 0 if upto is None else _give_up_to(connection, stream, which, upto, GapReason.QUOTA)


def give_up_to(connection: sqlite3.Connection, stream: StreamName, which: str, upto: int) -> bool:
    """Delete some waiting rows up to a number that are too old; they will be read as gaps.

    Returns whether they were all.
    """
    count, last = connection.execute(
        f"SELECT count(*), max(seq) FROM (SELECT seq FROM outbox_{stream.value}"
        f" WHERE seq > ? AND {which} AND seq <= ? ORDER BY seq LIMIT ?)",
        (_acked(connection, stream), upto, AGED_AT_ONCE),
    ).fetchone()
    if not count:
        return True
    _give_up_to(connection, stream, which, last, GapReason.AGE)
    return bool(count < AGED_AT_ONCE)


def _give_up_to(
    connection: sqlite3.Connection, stream: StreamName, which: str, upto: int, why: GapReason
) -> int:
    where = f"seq > {_acked(connection, stream)} AND {which} AND seq <= ?"
    given_up.note(connection, stream, where, upto, why)
    rows, freed = _delete(connection, stream, where, upto)
    connection.execute(
        "UPDATE outbox_heads SET rows = rows - ?, bytes = bytes - ?,"
        " evicted_total = evicted_total + ? WHERE stream = ?",
        (rows, freed, rows, stream.value),
    )
    return freed


def _acked(connection: sqlite3.Connection, stream: StreamName) -> int:
    return int(
        connection.execute(
            "SELECT acked FROM outbox_heads WHERE stream = ?", (stream.value,)
        ).fetchone()[0]
    )


def _reaching(
    connection: sqlite3.Connection, stream: StreamName, where: str, wanted: int
) -> int | None:
    """Return the number up to which the oldest such rows make up `wanted` bytes, or all of them.

    `where` is asked with the watermark. None when nothing is wanted or there are no such rows.
    """
    upto, size = None, 0
    rows = connection.execute(
        f"SELECT seq, length(body) AS size FROM outbox_{stream.value} WHERE {where} ORDER BY seq",
        (_acked(connection, stream),),
    )
    while size < wanted and (row := rows.fetchone()) is not None:
        upto, size = row["seq"], size + row["size"] + ROW_BYTES
    return upto


def _delete(
    connection: sqlite3.Connection, stream: StreamName, where: str, upto: int
) -> tuple[int, int]:
    """Delete rows; return how many and how many bytes."""
    rows, size = connection.execute(
        f"SELECT count(*), total(length(body) + {ROW_BYTES}) FROM outbox_{stream.value}"
        f" WHERE {where}",
        (upto,),
    ).fetchone()
    connection.execute(f"DELETE FROM outbox_{stream.value} WHERE {where}", (upto,))
    return rows, int(size)
