"""The center's memory: each record once, and the watermark in the same transaction.

`(site, box, stream, epoch, seq)` is unique. What comes again is counted and discarded; what comes
too early (a number is missing before it) is discarded as well and asked for from the missing one.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent.contract.acks import Ack, Acks
from agent.contract.audit import AUDIT_TYPE
from agent.contract.events import StreamName
from agent.contract.records import RecordHead
from agent.contract.topics import BoxAddress
from agent.contract.uploads import NeedUpload
from agent.core.db import Part
from agent.simulators.center import evidence
from agent.simulators.center.view import StreamCount, Upload

PART = Part(
    "center",
    [
        """
CREATE TABLE streams (
    site TEXT, box TEXT, stream TEXT, epoch TEXT, upto INTEGER NOT NULL DEFAULT 0,
    stored INTEGER NOT NULL DEFAULT 0, redelivered INTEGER NOT NULL DEFAULT 0,
    missing INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (site, box, stream, epoch)) WITHOUT ROWID;
CREATE TABLE records (
    number INTEGER PRIMARY KEY, site TEXT NOT NULL, box TEXT NOT NULL, stream TEXT NOT NULL,
    epoch TEXT NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL,
    phase TEXT NOT NULL, redelivered INTEGER NOT NULL DEFAULT 0, received_at TEXT NOT NULL,
    body BLOB NOT NULL, UNIQUE (site, box, stream, epoch, seq));
CREATE TABLE gaps (
    site TEXT, box TEXT, stream TEXT, epoch TEXT, seq INTEGER, until_seq INTEGER, why TEXT,
    PRIMARY KEY (site, box, stream, epoch, seq)) WITHOUT ROWID;
CREATE TABLE boxes (
    site TEXT, box TEXT, online INTEGER NOT NULL DEFAULT 0, since TEXT, state BLOB, info BLOB,
    telemetry BLOB, telemetry_at TEXT, PRIMARY KEY (site, box)) WITHOUT ROWID;
CREATE TABLE uploads (
    name TEXT PRIMARY KEY, command_id TEXT NOT NULL, content_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, received_at TEXT NOT NULL,
    path TEXT NOT NULL);
""",
        """
ALTER TABLE boxes ADD COLUMN config BLOB;
ALTER TABLE boxes ADD COLUMN heard_at TEXT;
ALTER TABLE boxes ADD COLUMN steps_back INTEGER NOT NULL DEFAULT 0;
ALTER TABLE boxes ADD COLUMN stepped_back_at TEXT;
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY, site TEXT NOT NULL, box TEXT NOT NULL, boot INTEGER NOT NULL,
    conn INTEGER NOT NULL, since TEXT NOT NULL, until TEXT, UNIQUE (site, box, boot, conn));
""",
        """
CREATE TABLE expected_files (
    command_id TEXT PRIMARY KEY, site TEXT NOT NULL, box TEXT NOT NULL) WITHOUT ROWID;
""",
    ],
)

Parts = list[tuple[RecordHead, bytes]]


@dataclass(slots=True)
class _Mark:
    """One stream's counters while one message is stored."""

    upto: int
    stored: int = 0
    redelivered: int = 0
    missing: int = 0
    nak: int | None = None


@dataclass(frozen=True, slots=True)
class StoredRecord:
    number: int
    address: BoxAddress
    body: bytes
    received_at: datetime
    redelivered: int


def ingest(
    connection: sqlite3.Connection, address: BoxAddress, parts: Parts, now: datetime
) -> Acks:
    """Store one message's records; return what to acknowledge, for each stream it carried."""
    acks: Acks = {}
    marks: dict[tuple[StreamName, str], _Mark] = {}
    for head, body in parts:
        key = (head.stream, head.epoch)
        mark = marks.get(key) or marks.setdefault(key, _mark(connection, address, head))
        if head.seq > mark.upto + 1:
            mark.nak = mark.upto + 1
        elif head.last_seq <= mark.upto:
            _count_again(connection, address, head)
            mark.redelivered += 1
        elif head.is_gap:
            _insert_gap(connection, address, head)
            mark.missing += head.last_seq - mark.upto
            mark.upto = head.last_seq
            if head.stream is StreamName.AUDIT:
                evidence.saw_gap(connection, address, head, now)
        else:
            _insert(connection, address, head, body, now)
            mark.stored += 1
            mark.upto = head.seq
            if head.stream is StreamName.AUDIT:
                evidence.saw_record(connection, address, head, body, now)
    for (stream, epoch), mark in marks.items():
        connection.execute(
            "UPDATE streams SET upto = ?, stored = stored + ?, redelivered = redelivered + ?,"
            " missing = missing + ? WHERE site = ? AND box = ? AND stream = ? AND epoch = ?",
            (mark.upto, mark.stored, mark.redelivered, mark.missing, *_key(address), stream, epoch),
        )
        record_id = _id_at(connection, address, stream, epoch, mark.upto)
        acks[stream] = Ack(upto=mark.upto, epoch=epoch, nak=mark.nak, id=record_id)
    return acks


def newest(
    connection: sqlite3.Connection, type_prefix: str, limit: int, after: int = 0
) -> list[StoredRecord]:
    """Return the newest records of a type, newest first."""
    rows = connection.execute(
        "SELECT * FROM records WHERE number > ? AND substr(type, 1, ?) = ?"
        " ORDER BY number DESC LIMIT ?",
        (after, len(type_prefix), type_prefix, limit),
    )
    return [
        StoredRecord(
            row["number"],
            BoxAddress(row["site"], row["box"]),
            row["body"],
            datetime.fromisoformat(row["received_at"]),
            row["redelivered"],
        )
        for row in rows
    ]


def counts(connection: sqlite3.Connection) -> dict[BoxAddress, list[StreamCount]]:
    """Return the counters of all streams of all boxes."""
    gone: dict[tuple[str, ...], dict[str, int]] = {}
    for row in connection.execute(
        "SELECT site, box, stream, epoch, why, sum(until_seq - seq + 1) AS records FROM gaps"
        " GROUP BY site, box, stream, epoch, why"
    ):
        gone.setdefault(tuple(row)[:4], {})[row["why"]] = row["records"]
    found: dict[BoxAddress, list[StreamCount]] = {}
    for row in connection.execute("SELECT * FROM streams ORDER BY site, box, stream, epoch"):
        found.setdefault(BoxAddress(row["site"], row["box"]), []).append(
            StreamCount(
                row["stream"],
                row["epoch"],
                row["upto"],
                row["stored"],
                row["redelivered"],
                row["missing"],
                gone.get(tuple(row[key] for key in ("site", "box", "stream", "epoch")), {}),
            )
        )
    return found


def expect_file(connection: sqlite3.Connection, command_id: str, address: BoxAddress) -> None:
    """Remember that a box was ordered to send a file."""
    connection.execute(
        "INSERT OR IGNORE INTO expected_files VALUES (?, ?, ?)", (command_id, *_key(address))
    )


def is_expected(connection: sqlite3.Connection, command_id: str, address: BoxAddress) -> bool:
    """Say whether this box was ordered to send this file."""
    row = connection.execute(
        "SELECT 1 FROM expected_files WHERE command_id = ? AND site = ? AND box = ?",
        (command_id, *_key(address)),
    ).fetchone()
    return row is not None


def is_in_event(connection: sqlite3.Connection, address: BoxAddress, need: NeedUpload) -> bool:
    """Say whether an event of this box, or an entry of its audit chain, names this file."""
    rows = connection.execute(
        "SELECT body FROM records WHERE site = ? AND box = ? AND id = ?"
        " AND (type LIKE ? OR type = ?)",
        (*_key(address), need.event, "edge.event.%", AUDIT_TYPE),
    )
    return any(need.sha256.encode() in row["body"] for row in rows)


def add_upload(connection: sqlite3.Connection, upload: Upload) -> None:
    connection.execute(
        "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            upload.name,
            upload.command_id,
            upload.content_type,
            upload.size_bytes,
            upload.sha256,
            upload.received_at.isoformat(),
            str(upload.path),
        ),
    )


def uploads(connection: sqlite3.Connection, limit: int) -> list[Upload]:
    """Return the newest files that came."""
    rows = connection.execute("SELECT * FROM uploads ORDER BY received_at DESC LIMIT ?", (limit,))
    return [_upload(row) for row in rows]


def upload_of(connection: sqlite3.Connection, command_id: str) -> Upload | None:
    """Return the file that came for a command."""
    row = connection.execute(
        "SELECT * FROM uploads WHERE command_id = ? ORDER BY received_at DESC", (command_id,)
    ).fetchone()
    return None if row is None else _upload(row)


def _upload(row: sqlite3.Row) -> Upload:
    return Upload(
        row["name"],
        row["command_id"],
        row["content_type"],
        row["size_bytes"],
        row["sha256"],
        datetime.fromisoformat(row["received_at"]),
        Path(row["path"]),
    )


def _key(address: BoxAddress) -> tuple[str, str]:
    return address.site, address.box


def _mark(connection: sqlite3.Connection, address: BoxAddress, head: RecordHead) -> _Mark:
    key = (*_key(address), head.stream, head.epoch)
    connection.execute(
        "INSERT OR IGNORE INTO streams (site, box, stream, epoch) VALUES (?, ?, ?, ?)", key
    )
    row = connection.execute(
        "SELECT upto FROM streams WHERE site = ? AND box = ? AND stream = ? AND epoch = ?", key
    ).fetchone()
    return _Mark(row["upto"])


def _id_at(
    connection: sqlite3.Connection, address: BoxAddress, stream: str, epoch: str, seq: int
) -> str:
    """Return the id of the record with this number; a gap has none."""
    row = connection.execute(
        "SELECT id FROM records WHERE site = ? AND box = ? AND stream = ? AND epoch = ?"
        " AND seq = ?",
        (*_key(address), stream, epoch, seq),
    ).fetchone()
    return "" if row is None else row["id"]


def _insert(
    connection: sqlite3.Connection,
    address: BoxAddress,
    head: RecordHead,
    body: bytes,
    now: datetime,
) -> None:
    connection.execute(
        "INSERT INTO records (site, box, stream, epoch, seq, id, type, phase, received_at, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *_key(address),
            head.stream,
            head.epoch,
            head.seq,
            head.id,
            head.type,
            head.phase,
            now.isoformat(),
            body,
        ),
    )


def _insert_gap(connection: sqlite3.Connection, address: BoxAddress, head: RecordHead) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO gaps VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*_key(address), head.stream, head.epoch, head.seq, head.last_seq, head.why),
    )


def _count_again(connection: sqlite3.Connection, address: BoxAddress, head: RecordHead) -> None:
    connection.execute(
        "UPDATE records SET redelivered = redelivered + 1"
        " WHERE site = ? AND box = ? AND stream = ? AND epoch = ? AND seq = ?",
        (*_key(address), head.stream, head.epoch, head.seq),
    )
