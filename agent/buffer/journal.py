"""The journal: every deletion and its rule, every lock's fate; signed, linked purge records.

A purge record sums up the deletions since the one before: how many, which time, by which rules,
and the hash of their rows; it carries the hash of its predecessor and the box's signature. The
newest `KEEP_ROWS` rows of single deletions are kept, the records for good (144 a day at most).
"""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Connection

import msgspec
from msgspec import Struct

from agent.buffer.index import Index, from_micros, micros
from agent.contract.evidence import PurgeHead, PurgeSum, sha256_b64

KEEP_ROWS = 100_000  # more than ten days of 10 s segments
FIRST = "0" * 64

Signer = Callable[[bytes], tuple[str, bytes]]
"""Returns the key's id and the signature of the bytes."""
Verifier = Callable[[bytes, bytes], bool]
"""Says whether the signature (first) is the box's own of the bytes (second)."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """A segment that is to go, and the rule that says so."""

    segment_id: int
    path: str
    size_bytes: int
    start_us: int
    duration_us: int
    rule: str


class Purge(Struct, frozen=True, kw_only=True):
    """What the box signs of a batch of deletions."""

    number: int
    camera: str
    at: datetime
    segments: int
    bytes: int
    first_at: datetime | None
    last_until: datetime | None
    rules: dict[str, int]
    rows_sha256: str
    previous_sha256: str


def forget(index: Index, doomed: Sequence[Doomed], at: datetime) -> int:
    """Take segments whose files are gone out of the index and note, once, why; return how many."""
    gone = 0
    with index.transaction() as db:
        for segment in doomed:
            if not db.execute(
                "DELETE FROM segments WHERE segment_id = ?", (segment.segment_id,)
            ).rowcount:
                continue  # another thread was faster
            gone += 1
            db.execute(
                "INSERT INTO deletions (at_utc_us, path, bytes, rule, from_utc_us, to_utc_us)"
                " VALUES (?,?,?,?,?,?)",
                (
                    micros(at),
                    segment.path,
                    segment.size_bytes,
                    segment.rule,
                    segment.start_us,
                    segment.start_us + segment.duration_us,
                ),
            )
    return gone


def note(db: Connection, at: datetime, what: str, subject: str, detail: str = "") -> None:
    """Write one line about something other than a deletion."""
    db.execute(
        "INSERT INTO journal (at_utc_us, what, subject, detail) VALUES (?,?,?,?)",
        (micros(at), what, subject, detail),
    )


def forget_before(index: Index, horizon: datetime) -> None:
    """Drop what was noted of a time without video: it would fill the disk over the years."""
    horizon_us = micros(horizon)
    with index.transaction() as db:
        db.execute(
            "DELETE FROM runs WHERE started_utc_us < ? AND ended_cause IS NOT NULL"
            " AND run_id < (SELECT max(run_id) FROM runs)"
            " AND run_id NOT IN (SELECT run_id FROM segments)",
            (horizon_us,),
        )
        db.execute("DELETE FROM gaps WHERE to_utc_us < ?", (horizon_us,))
        db.execute("DELETE FROM hits WHERE acked = 1 AND made_utc_us < ?", (horizon_us,))
        db.execute("DELETE FROM corrections WHERE made_utc_us < ?", (horizon_us,))
        for table, key in (("deletions", "deletion_id"), ("journal", "entry_id")):
            db.execute(
                f"DELETE FROM {table}"  # noqa: S608
                f" WHERE {key} <= (SELECT max({key}) FROM {table}) - ?",
                (KEEP_ROWS,),
            )


def sign_deletions(index: Index, camera: str, signer: Signer, at: datetime) -> Purge | None:
    """Sum up and sign what was deleted since the last record; None when there is nothing."""
    with index.transaction() as db:
        number, done_until, previous = _head(db)
        rows = db.execute(
            "SELECT deletion_id, at_utc_us, path, bytes, rule, from_utc_us, to_utc_us"
            " FROM deletions WHERE deletion_id > ? ORDER BY deletion_id",
            (done_until,),
        ).fetchall()
        if not rows:
            return None
        starts = [row["from_utc_us"] for row in rows if row["from_utc_us"] is not None]
        ends = [row["to_utc_us"] for row in rows if row["to_utc_us"] is not None]
        purge = Purge(
            number=number + 1,
            camera=camera,
            at=at,
            segments=len(rows),
            bytes=sum(row["bytes"] for row in rows),
            first_at=from_micros(min(starts)) if starts else None,
            last_until=from_micros(max(ends)) if ends else None,
            rules=dict(Counter(row["rule"] for row in rows)),
            rows_sha256=_rows_sha256(tuple(row) for row in rows),
            previous_sha256=previous,
        )
        body = msgspec.json.encode(purge)
        key_id, signature = signer(body)
        db.execute(
            "INSERT INTO purges (purge_id, last_deletion_id, body, key_id, signature)"
            " VALUES (?,?,?,?,?)",
            (purge.number, rows[-1]["deletion_id"], body, key_id, signature),
        )
    return purge


@dataclass(frozen=True, slots=True)
class SignedPurge:
    """A purge record as it was signed: its exact text, the key's id and the signature."""

    number: int
    body: str
    key_id: str
    signature: bytes

    @property
    def mark(self) -> str:
        """What tells it from a record of the same number in another index."""
        return f"{self.number}:{hashlib.sha256(self.body.encode()).hexdigest()[:16]}"


def sum_up(records: Mapping[str, Sequence[SignedPurge]]) -> PurgeSum | None:
    """Sum up the purge records of each camera, in order; None when there are none."""
    heads, purges = [], []
    for camera_id, signed in records.items():
        purges += [msgspec.json.decode(record.body, type=Purge) for record in signed]
        heads += [
            PurgeHead(camera_id, record.number, sha256_b64(record.body.encode()))
            for record in signed[-1:]
        ]
    if not purges:
        return None
    rules: Counter[str] = Counter()
    for purge in purges:
        rules.update(purge.rules)
    starts = [one.first_at.timestamp() for one in purges if one.first_at is not None]
    ends = [one.last_until.timestamp() for one in purges if one.last_until is not None]
    return PurgeSum(
        heads=tuple(heads),
        rules=dict(rules),
        bytes=sum(purge.bytes for purge in purges),
        from_s=math.floor(min(starts)) if starts else None,
        until_s=math.ceil(max(ends)) if ends else None,
    )


def purges_behind(db: Connection, mark: str, limit: int) -> list[SignedPurge]:
    """Return the purge records behind the one with `mark`; all, if this index has none such."""
    number = int(mark.partition(":")[0] or 0)
    known = purges_after(db, number - 1, 1)
    is_ours = bool(known) and mark in (known[0].mark, str(number))  # once a mark was its number
    return purges_after(db, number if is_ours else 0, limit)


def purges_after(db: Connection, number: int, limit: int) -> list[SignedPurge]:
    """Return the purge records behind `number`, oldest first."""
    rows = db.execute(
        "SELECT purge_id, body, key_id, signature FROM purges WHERE purge_id > ?"
        " ORDER BY purge_id LIMIT ?",
        (number, limit),
    )
    return [
        SignedPurge(row["purge_id"], row["body"].decode(), row["key_id"], row["signature"])
        for row in rows
    ]


def verify_purges(db: Connection, verifies: Verifier) -> Iterator[str]:
    """Yield what is wrong with the purge records: signature, link, number, or rows that differ."""
    previous, number, after = FIRST, 0, 0
    for row in db.execute("SELECT * FROM purges ORDER BY purge_id"):
        purge = msgspec.json.decode(row["body"], type=Purge)
        if purge.number != number + 1 or row["purge_id"] != purge.number:
            yield f"purge record {number + 1} is missing"
        if not verifies(row["signature"], row["body"]):
            yield f"purge record {purge.number} is not signed by this box"
        if purge.previous_sha256 != previous:
            yield f"purge record {purge.number} does not follow the one before"
        rows = db.execute(
            "SELECT deletion_id, at_utc_us, path, bytes, rule, from_utc_us, to_utc_us"
            " FROM deletions WHERE deletion_id > ? AND deletion_id <= ? ORDER BY deletion_id",
            (after, row["last_deletion_id"]),
        ).fetchall()
        is_whole = len(rows) == purge.segments
        if is_whole and _rows_sha256(tuple(r) for r in rows) != purge.rows_sha256:
            yield f"deletions of purge record {purge.number} were changed"
        previous = hashlib.sha256(row["body"]).hexdigest()
        number, after = purge.number, row["last_deletion_id"]


def _head(db: Connection) -> tuple[int, int, str]:
    row = db.execute("SELECT * FROM purges ORDER BY purge_id DESC LIMIT 1").fetchone()
    if row is None:
        return 0, 0, FIRST
    return row["purge_id"], row["last_deletion_id"], hashlib.sha256(row["body"]).hexdigest()


def _rows_sha256(rows: Iterable[tuple[object, ...]]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(msgspec.json.encode(row) + b"\n")
    return digest.hexdigest()
