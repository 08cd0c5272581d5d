"""A new epoch for an outbox that goes on in another box: what waits is numbered anew, none is lost.

Numbers count within an epoch, and another box under the same name must not use the old one's. Runs
in the database's writer thread, inside the caller's transaction.
"""
# ruff: noqa: S608  (table names come from the StreamName enum, never from outside)

import sqlite3

import msgspec

from agent.contract.events import StreamName
from agent.core.ids import new_epoch
from agent.outbox.eviction import ROW_BYTES

MARK = "new-epoch"  # in the data folder: the core begins one at its next start


def begin_epoch(connection: sqlite3.Connection) -> str:
    """Begin a new epoch with what waits; what was acknowledged is the center's alone from now on.

    Call before the outbox is opened. Ids stay, so a center that has some of it knows them again.
    """
    epoch = new_epoch()
    for stream in StreamName:
        table = f"outbox_{stream.value}"
        acked = connection.execute(
            "SELECT acked FROM outbox_heads WHERE stream = ?", (stream.value,)
        ).fetchone()["acked"]
        rows = connection.execute(
            f"SELECT * FROM {table} WHERE seq > ? ORDER BY seq", (acked,)
        ).fetchall()
        connection.execute(f"DELETE FROM {table}")
        total = 0
        for seq, row in enumerate(rows, start=1):
            record = msgspec.json.decode(row["body"]) | {"seq": seq, "epoch": epoch}
            body = msgspec.json.encode(record)
            total += len(body) + ROW_BYTES
            kept = (row["event_id"], row["phase"], row["boot"], row["true_mono_s"])
            connection.execute(
                f"INSERT INTO {table} (seq, event_id, phase, boot, true_mono_s, queued_mono_s,"
                " body) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (seq, *kept, row["queued_mono_s"], body),
            )
        connection.execute(
            "UPDATE outbox_heads SET next_seq = ?, acked = 0, rows = ?, bytes = ?, kept_bytes = 0,"
            " evicted_total = 0, aged_upto = 0 WHERE stream = ?",
            (len(rows) + 1, len(rows), total, stream.value),
        )
    connection.execute("DELETE FROM outbox_acks")
    connection.execute("DELETE FROM outbox_ages")
    connection.execute("DELETE FROM outbox_given_up")
    connection.execute("DELETE FROM outbox_epoch")
    connection.execute("INSERT INTO outbox_epoch (epoch) VALUES (?)", (epoch,))
    return epoch
