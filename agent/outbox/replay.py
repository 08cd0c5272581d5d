"""Records sent once more: copied to the end of their stream, under new numbers, as `historical`.

Their ids stay, so a center knows them again. Runs in the database's writer thread.
"""
# ruff: noqa: S608  (table names come from the StreamName enum, never from outside)

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from agent.contract.events import StreamName, UtcTime

if TYPE_CHECKING:
    from agent.outbox.store import Store

MOST_AT_ONCE = 10_000


class _Timed(Struct):
    time: UtcTime


_time_of = msgspec.json.Decoder(_Timed)


@dataclass(frozen=True, slots=True)
class Range:
    """Which acknowledged records: numbers `first`..`last`, times `since`..`until`."""

    stream: StreamName
    first: int = 1
    last: int | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Numbers found so far, and the last one looked at (None: there are no more)."""

    numbers: tuple[int, ...]
    looked_at: int | None


def find(connection: sqlite3.Connection, wanted: Range, after: int, limit: int) -> Found:
    """Find acknowledged records still kept, behind `after`, oldest first.

    Looks at `limit` rows at most, so that nobody waits long for the database.
    """
    head = connection.execute(
        "SELECT acked FROM outbox_heads WHERE stream = ?", (wanted.stream.value,)
    ).fetchone()
    last = head["acked"] if wanted.last is None else min(wanted.last, head["acked"])
    rows = connection.execute(
        f"SELECT seq, body FROM outbox_{wanted.stream.value} WHERE seq > ? AND seq <= ?"
        " ORDER BY seq LIMIT ?",
        (max(after, wanted.first - 1), last, limit),
    ).fetchall()
    numbers = tuple(row["seq"] for row in rows if _is_within(row["body"], wanted))
    return Found(numbers, rows[-1]["seq"] if rows else None)


def requeue(
    connection: sqlite3.Connection, store: "Store", stream: StreamName, numbers: Sequence[int]
) -> int:
    """Queue copies of these records; return how many were still there. Raises `StorageError`."""
    copied = 0
    for number in numbers:
        row = connection.execute(
            f"SELECT event_id, phase, body FROM outbox_{stream.value} WHERE seq = ?", (number,)
        ).fetchone()
        if row is None:
            continue
        record: dict[str, Any] = msgspec.json.decode(row["body"])

        def build(seq: int, record: dict[str, Any] = record) -> bytes:
            again = {"seq": seq, "epoch": store.epoch, "historical": True}
            return msgspec.json.encode(record | again)

        store.append(connection, stream, build, event_id=row["event_id"], phase=row["phase"])
        copied += 1
    return copied


def _is_within(body: bytes, wanted: Range) -> bool:
    if wanted.since is None or wanted.until is None:
        return True
    try:
        at = _time_of.decode(body).time
    except msgspec.MsgspecError:
        return False
    return wanted.since <= at <= wanted.until
