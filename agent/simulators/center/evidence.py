"""The center's own eye on stream `u`: the audit chain is checked entry by entry as it arrives.

What does not fit (an entry altered, missing or out of its chain, a signature that is not the box's,
a key nobody handed over) is kept as a doubt, shown on the page and by `center watch`. What a box
anchored here (heads of its video chains) is given out for `poleside clip verify --anchor`.
"""

import sqlite3
from collections.abc import Iterator
from datetime import datetime

import msgspec

from agent.contract.audit import AUDIT_TYPE, CHAIN_START, AuditRecord
from agent.contract.evidence import (
    BY_TYPE,
    HEADS_TYPE,
    HOUR_TYPE,
    KEY_TYPE,
    AuditHead,
    BoxHour,
    BoxKeyData,
    EvidenceRecord,
)
from agent.contract.records import RecordHead
from agent.contract.topics import BoxAddress
from agent.core.db import Part
from agent.evidence.box_key import PublicKey, unb64
from agent.evidence.handover import open_handover
from agent.simulators.center.view import AuditState, Doubt

PART = Part(
    "center_evidence",
    [
        """
CREATE TABLE audit_chains (
    site TEXT, box TEXT, epoch TEXT, hash TEXT NOT NULL, entries INTEGER NOT NULL,
    is_broken INTEGER NOT NULL, PRIMARY KEY (site, box, epoch)) WITHOUT ROWID;
CREATE TABLE box_keys (
    site TEXT, box TEXT, fingerprint TEXT, jwk BLOB NOT NULL, since TEXT NOT NULL,
    PRIMARY KEY (site, box, fingerprint)) WITHOUT ROWID;
CREATE TABLE doubts (
    number INTEGER PRIMARY KEY, site TEXT NOT NULL, box TEXT NOT NULL, seq INTEGER NOT NULL,
    at TEXT NOT NULL, code TEXT NOT NULL, detail TEXT NOT NULL);
"""
    ],
)


def saw_record(
    connection: sqlite3.Connection,
    address: BoxAddress,
    head: RecordHead,
    body: bytes,
    now: datetime,
) -> None:
    """Check one record of stream `u` that was just stored; what is wrong becomes a doubt."""
    try:
        found = list(_problems(connection, address, head, body, now))
    except msgspec.MsgspecError as error:
        found = [("audit.unreadable", str(error))]
    for code, detail in found:
        _doubt(connection, address, head.seq, now, code, detail)


def saw_gap(
    connection: sqlite3.Connection, address: BoxAddress, head: RecordHead, now: datetime
) -> None:
    """A box never gives records of stream `u` up: a gap in it is a doubt of its own."""
    detail = f"Records {head.seq} to {head.last_seq} never came: {head.why}."
    _doubt(connection, address, head.seq, now, "audit.missing", detail)


def doubts(connection: sqlite3.Connection, limit: int = 50, after: int = 0) -> list[Doubt]:
    """Return the newest doubts, newest first."""
    rows = connection.execute(
        "SELECT * FROM doubts WHERE number > ? ORDER BY number DESC LIMIT ?", (after, limit)
    )
    return [
        Doubt(
            row["number"],
            BoxAddress(row["site"], row["box"]),
            row["seq"],
            datetime.fromisoformat(row["at"]),
            row["code"],
            row["detail"],
        )
        for row in rows
    ]


def audit_states(connection: sqlite3.Connection) -> dict[BoxAddress, AuditState]:
    """Return how each box's audit chain stands."""
    rows = connection.execute(
        "SELECT site, box, sum(entries) AS entries, (SELECT count(*) FROM doubts d"
        " WHERE d.site = c.site AND d.box = c.box) AS doubts FROM audit_chains c GROUP BY site, box"
    )
    return {
        BoxAddress(row["site"], row["box"]): AuditState(row["entries"], row["doubts"])
        for row in rows
    }


def anchors(connection: sqlite3.Connection, box: str, site: str = "") -> Iterator[bytes]:
    """Yield what a box said of its keys, heads and exported files: the lines of an anchor file."""
    rows = connection.execute(
        "SELECT body FROM records WHERE box = ? AND (? = '' OR site = ?) AND stream = 'u'"
        " AND (type IN (?, ?, ?)"
        " OR type = ? AND json_extract(CAST(body AS TEXT), '$.data.sha256') IS NOT NULL)"
        " ORDER BY number",
        (box, site, site, HOUR_TYPE, HEADS_TYPE, KEY_TYPE, AUDIT_TYPE),
    )
    for row in rows:
        yield row["body"]


def _problems(
    connection: sqlite3.Connection,
    address: BoxAddress,
    head: RecordHead,
    body: bytes,
    now: datetime,
) -> Iterator[tuple[str, str]]:
    if _is_repeated(connection, address, head):
        return  # replayed on order: another number, the same record
    if head.type == AUDIT_TYPE:
        yield from _chain(connection, address, msgspec.json.decode(body, type=AuditRecord))
    elif head.type in BY_TYPE:
        record = msgspec.json.decode(body, type=BY_TYPE[head.type])
        if isinstance(record.data, BoxKeyData):
            yield from _take_key(connection, address, record, record.data, now)
        yield from _signature(connection, address, record)
        if isinstance(record.data, BoxHour):
            yield from _audit_head(connection, address, record, record.data.audit)
        elif isinstance(record.data, AuditHead):
            yield from _audit_head(connection, address, record, record.data.hash)


def _is_repeated(connection: sqlite3.Connection, address: BoxAddress, head: RecordHead) -> bool:
    row = connection.execute(
        "SELECT 1 FROM records WHERE site = ? AND box = ? AND stream = 'u' AND epoch = ?"
        " AND id = ? AND seq < ?",
        (address.site, address.box, head.epoch, head.id, head.seq),
    ).fetchone()
    return row is not None


def _chain(
    connection: sqlite3.Connection, address: BoxAddress, record: AuditRecord
) -> Iterator[tuple[str, str]]:
    entry, key = record.data, (address.site, address.box, record.epoch)
    known = connection.execute(
        "SELECT hash, entries FROM audit_chains WHERE site = ? AND box = ? AND epoch = ?", key
    ).fetchone()
    expected, entries = (CHAIN_START, 0) if known is None else (known["hash"], known["entries"])
    if known is None and _ends_an_epoch(connection, address, entry.prev):
        expected = entry.prev  # another box goes on with this one's disk
    name = f"Audit entry {record.seq} ({entry.op or 'unknown order'} by {entry.actor or '-'})"
    is_broken = True
    if not entry.is_sealed():
        yield "audit.altered", f"{name} was altered: its hash is not that of its content."
    elif entry.prev != expected:
        yield (
            "audit.broken",
            (f"{name} does not follow the one before: entries are missing or were exchanged."),
        )
    else:
        is_broken = False
    connection.execute(
        "INSERT INTO audit_chains VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        " ON CONFLICT DO UPDATE SET hash = ?4, entries = ?5, is_broken = is_broken OR ?6",
        (*key, entry.hash, entries + 1, is_broken),
    )


def _ends_an_epoch(connection: sqlite3.Connection, address: BoxAddress, head: str) -> bool:
    row = connection.execute(
        "SELECT 1 FROM audit_chains WHERE site = ? AND box = ? AND hash = ?",
        (address.site, address.box, head),
    ).fetchone()
    return row is not None


def _take_key(
    connection: sqlite3.Connection,
    address: BoxAddress,
    record: EvidenceRecord,
    data: BoxKeyData,
    now: datetime,
) -> Iterator[tuple[str, str]]:
    """Keep a box's key; the first is believed, another only on the word of one that is known."""
    public = PublicKey(x=data.x, y=data.y)
    known = _keys(connection, address)
    if public.fingerprint in known:
        return
    if known and not _is_handed_over(data, public, known):
        yield (
            "key.not_handed_over",
            (
                f"The box signs with a new key {public.fingerprint} that no known key of it handed"
                " over: another box in its place, or a forged one."
            ),
        )
    connection.execute(
        "INSERT INTO box_keys VALUES (?, ?, ?, ?, ?)",
        (address.site, address.box, record.key, msgspec.json.encode(public), now.isoformat()),
    )


def _is_handed_over(data: BoxKeyData, public: PublicKey, known: dict[str, PublicKey]) -> bool:
    handover = open_handover(data.handover)
    return handover is not None and handover.new == public and handover.old in known.values()


def _signature(
    connection: sqlite3.Connection, address: BoxAddress, record: EvidenceRecord
) -> Iterator[tuple[str, str]]:
    keys = _keys(connection, address)
    key = keys.get(record.key)
    if key is None:
        if keys:
            yield "key.unknown", f"Record {record.seq} is signed by an unknown key {record.key}."
        return
    try:
        is_signed = key.verifies(unb64(record.signature), record.data.to_sign())
    except ValueError:
        is_signed = False
    if not is_signed:
        yield "evidence.forged", f"Record {record.seq} ({record.type}) is not signed by the box."


def _audit_head(
    connection: sqlite3.Connection, address: BoxAddress, record: EvidenceRecord, told: str
) -> Iterator[tuple[str, str]]:
    row = connection.execute(
        "SELECT hash FROM audit_chains WHERE site = ? AND box = ? AND epoch = ?",
        (address.site, address.box, record.epoch),
    ).fetchone()
    if row is not None and row["hash"] != told:
        yield (
            "audit.missing",
            (
                f"The box signed another end of its audit chain (record {record.seq}) than the one"
                " that came: entries are missing."
            ),
        )


def _keys(connection: sqlite3.Connection, address: BoxAddress) -> dict[str, PublicKey]:
    rows = connection.execute(
        "SELECT fingerprint, jwk FROM box_keys WHERE site = ? AND box = ?",
        (address.site, address.box),
    )
    return {row["fingerprint"]: msgspec.json.decode(row["jwk"], type=PublicKey) for row in rows}


def _doubt(
    connection: sqlite3.Connection,
    address: BoxAddress,
    seq: int,
    now: datetime,
    code: str,
    detail: str,
) -> None:
    connection.execute(
        "INSERT INTO doubts (site, box, seq, at, code, detail) VALUES (?, ?, ?, ?, ?, ?)",
        (address.site, address.box, seq, now.isoformat(), code, detail),
    )
