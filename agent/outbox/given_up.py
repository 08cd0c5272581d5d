"""What the outbox gave up before the center had it, as ranges of numbers, and why.

Rows are gone; the center must still hear whether they were too old or had no room. Runs of one
reason are one range, so the table stays short. Runs inside the caller's transaction.
"""
# ruff: noqa: S608  (table names come from the StreamName enum, never from outside)

import sqlite3
from collections.abc import Iterator

from agent.contract.events import GapReason, StreamName

TABLE = """
CREATE TABLE outbox_given_up (
    stream TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, why TEXT NOT NULL,
    PRIMARY KEY (stream, first)) WITHOUT ROWID;
INSERT INTO outbox_given_up (stream, first, last, why)
    SELECT stream, acked + 1, aged_upto, 'age' FROM outbox_heads WHERE aged_upto > acked;
"""


def note(
    connection: sqlite3.Connection, stream: StreamName, where: str, upto: int, why: GapReason
) -> None:
    """Note the numbers of the rows that `where`, asked with `upto`, is about to delete."""
    runs = connection.execute(
        "SELECT min(seq), max(seq) FROM"
        " (SELECT seq, seq - row_number() OVER (ORDER BY seq) AS run"
        f" FROM outbox_{stream.value} WHERE {where}) GROUP BY run ORDER BY run",
        (upto,),
    ).fetchall()
    for first, last in runs:
        _add(connection, stream, first, last, why)


def reasons(
    connection: sqlite3.Connection, stream: StreamName, first: int, last: int
) -> Iterator[tuple[int, int, GapReason]]:
    """Split numbers that are gone by why: (first, last, why), in order, every number once.

    What an older version gave up for want of room was not noted.
    """
    rows = connection.execute(
        "SELECT first, last, why FROM outbox_given_up WHERE stream = ? AND first <= ? AND"
        " first >= coalesce("
        "(SELECT max(first) FROM outbox_given_up WHERE stream = ? AND first <= ?), 0)"
        " ORDER BY first",
        (stream.value, last, stream.value, first),
    )
    for row in rows:
        low, high = max(first, row["first"]), min(last, row["last"])
        if low > high:
            continue
        if first < low:
            yield first, low - 1, GapReason.QUOTA
        yield low, high, GapReason(row["why"])
        first = high + 1
    if first <= last:
        yield first, last, GapReason.QUOTA


def forget(connection: sqlite3.Connection, stream: StreamName, acked: int) -> None:
    """The center has stepped over all up to `acked`."""
    connection.execute(
        "DELETE FROM outbox_given_up WHERE stream = ? AND last <= ?", (stream.value, acked)
    )


def _add(
    connection: sqlite3.Connection, stream: StreamName, first: int, last: int, why: GapReason
) -> None:
    """Add a range, joined with its neighbours of the same reason."""
    after = connection.execute(
        "SELECT last FROM outbox_given_up WHERE stream = ? AND first = ? AND why = ?",
        (stream.value, last + 1, why.value),
    ).fetchone()
    before = connection.execute(
        "SELECT first, last, why FROM outbox_given_up WHERE stream = ? AND first < ?"
        " ORDER BY first DESC LIMIT 1",
        (stream.value, first),
    ).fetchone()
    if after is not None:
        connection.execute(
            "DELETE FROM outbox_given_up WHERE stream = ? AND first = ?", (stream.value, last + 1)
        )
        last = after["last"]
    if before is not None and before["last"] == first - 1 and before["why"] == why.value:
        first = before["first"]
    connection.execute(
        "INSERT OR REPLACE INTO outbox_given_up (stream, first, last, why) VALUES (?, ?, ?, ?)",
        (stream.value, first, last, why.value),
    )
