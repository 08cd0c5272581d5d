"""The audit chain: each entry carries the hash of the one before, in stream `u` of the outbox."""

import sqlite3
from collections.abc import Sequence

import msgspec

from agent.contract.audit import AUDIT_TYPE, CHAIN_START, AuditEntry, AuditRecord
from agent.contract.events import StreamName
from agent.core.clock import Clock
from agent.core.db import Part
from agent.core.ids import new_ulid
from agent.outbox.writer import Outbox

PART = Part("audit", ["CREATE TABLE audit_head (hash TEXT NOT NULL)"])


class Audit:
    """Writes entries inside the caller's transaction, so that none is without its command."""

    def __init__(self, outbox: Outbox, clock: Clock, source: str) -> None:
        self._outbox, self._clock, self._source = outbox, clock, source

    def append_in(
        self, connection: sqlite3.Connection, entry: AuditEntry, record_id: str = ""
    ) -> AuditEntry:
        """Chain and queue `entry`; return it as sealed. `record_id`: of a file bound to it."""
        sealed = entry.sealed(audit_head(connection))
        now = self._clock.utc_now()
        record_id = record_id or new_ulid(now)

        def build(seq: int) -> bytes:
            record = AuditRecord(
                id=record_id,
                source=self._source,
                time=now,
                seq=seq,
                epoch=self._outbox.epoch,
                data=sealed,
            )
            return msgspec.json.encode(record)

        self._outbox.append_in(connection, StreamName.AUDIT, build, event_id=record_id)
        connection.execute("DELETE FROM audit_head")
        connection.execute("INSERT INTO audit_head (hash) VALUES (?)", (sealed.hash,))
        return sealed


def audit_tail(connection: sqlite3.Connection, limit: int) -> list[AuditRecord]:
    """Return the newest entries that are still on the box, newest first."""
    rows = connection.execute(
        "SELECT body FROM outbox_u WHERE json_extract(CAST(body AS TEXT), '$.type') = ?"
        " ORDER BY seq DESC LIMIT ?",  # daily summaries go the same way
        (AUDIT_TYPE, limit),
    ).fetchall()
    return [msgspec.json.decode(row["body"], type=AuditRecord) for row in rows]


def audit_of(
    connection: sqlite3.Connection, operations: Sequence[str], limit: int
) -> list[AuditRecord]:
    """Return the newest entries of these operations that are still on the box, newest first."""
    marks = ",".join("?" * len(operations))
    rows = connection.execute(
        "SELECT body FROM outbox_u WHERE"  # noqa: S608 - question marks only
        f" json_extract(CAST(body AS TEXT), '$.data.op') IN ({marks}) ORDER BY seq DESC LIMIT ?",
        (*operations, limit),
    )
    return [msgspec.json.decode(row["body"], type=AuditRecord) for row in rows]


def audit_head(connection: sqlite3.Connection) -> str:
    """Return the hash of the chain's last entry."""
    row = connection.execute("SELECT hash FROM audit_head").fetchone()
    return CHAIN_START if row is None else row["hash"]
