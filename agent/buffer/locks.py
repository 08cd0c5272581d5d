"""Locks: spans of one camera's time that neither age nor want of space may delete.

An evidence lock is ordered by a person for an incident; an event lock is made by the box around a
rule's hit. Both end (`expires_at`). Together they may hold `lock_max_share` of the camera's part of
the disk: above it the oldest event locks are released, evidence locks never; when evidence alone
fills it, new locks are refused. A released lock stays on record: event-only mode keeps what lies
under one until it is too old, and everyone can see who held what, and why no more.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from sqlite3 import Connection, Row

import msgspec

from agent.buffer import journal
from agent.buffer.index import Index, Moment, from_micros, micros
from agent.buffer.trusted_time import trusted_now
from agent.core import log
from agent.core.clock import Clock, boot_id
from agent.core.errors import StorageError
from agent.core.whole_file import write_whole
from agent.settings.model import BufferSettings

EVIDENCE_FILE = "evidence-locks.json"
LONGEST_SEGMENT_US = 900_000_000  # a camera may send a key frame a quarter of an hour late
HISTORY = timedelta(days=365)
_AHEAD_US = 10_000_000  # a hit that goes on moves its end in such steps


class LockKind(StrEnum):
    EVENT = "event"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True)
class Lock:
    """One span. `released_why`: expired, removed, share; None while it holds."""

    lock_id: str
    kind: LockKind
    since: datetime
    until: datetime
    incident_id: str
    approver: str
    made_at: datetime
    expires_at: datetime
    released_at: datetime | None = None
    released_why: str | None = None


class Locks:
    """One camera's locks. Called by the worker's threads only."""

    def __init__(
        self,
        folder: Path,
        index: Index,
        settings: BufferSettings,
        clock: Clock,
        capacity: Callable[[], int],
        mode: Callable[[], str] | None = None,
        now: Callable[[], datetime | None] | None = None,
    ) -> None:
        """`capacity` returns how many bytes locks may hold in all; `mode` the mode just now.

        `now` tells a time to be trusted, None while there is none.
        """
        self._folder, self._index, self._settings, self._clock = folder, index, settings, clock
        self._capacity, self._mode = capacity, mode or (lambda: settings.mode)
        self._trusted_now = now or self._recordings_now
        self._open_hits: dict[str, tuple[str, int]] = {}
        self._log = log.get("buffer.locks")
        self.is_full = False

    def add(self, lock: Lock, moment: Moment | None = None) -> Lock:
        """Hold `lock`; the same id again changes nothing. Returns it as it is on record.

        Raises `StorageError` lock.bad_span, lock.expired, lock.share_full.
        """
        now = self._clock.utc_now()
        _refuse_nonsense(lock, now)
        try:
            with self._index.transaction() as db:
                known = _find(db, lock.lock_id)
                if known is not None:
                    return known
                _insert(db, lock, moment)
                journal.note(db, now, "locked", lock.lock_id, f"{lock.kind} by {lock.approver}")
                self._refuse_if_full(db, lock)
        except StorageError as error:
            if error.code == "lock.share_full":
                self._refused(lock, now)
            raise
        self.is_full = False
        self.release_due()
        self._save_soon(lock.kind)
        return lock

    def remove(self, lock_id: str, by: str) -> None:
        """Let go on a person's word. Raises `StorageError` lock.unknown."""
        now = self._clock.utc_now()
        with self._index.transaction() as db:
            known = _find(db, lock_id)
            if known is None:
                raise StorageError(
                    "lock.unknown",
                    f"There is no lock {lock_id} on this camera.",
                    hint="List them with `poleside buffer locks`.",
                )
            if known.released_at is None:
                _release(db, lock_id, now, "removed", by)
        self._save_soon(known.kind)

    def hit_began(self, hit_id: str, rule_id: str, at: Moment, *, is_held: bool = True) -> None:
        """Keep what lies around a hit; as a lock where events are locked and `is_held`."""
        days = self._settings.event_lock_days if is_held else 0.0
        if not days and self._mode() != "events":
            return
        seen, now = from_micros(at.utc_us), self._clock.utc_now()
        until = seen + timedelta(seconds=max(1.0, self._settings.event_post_s))
        lock = Lock(
            lock_id=hit_id,
            kind=LockKind.EVENT,
            since=seen - timedelta(seconds=self._settings.event_pre_s),
            until=until,
            incident_id=hit_id,
            approver=f"rule/{rule_id}",
            made_at=now,
            expires_at=max(seen, now) + timedelta(days=days),
        )
        self._open_hits[rule_id] = (hit_id, micros(until))
        if days:
            self.add(lock, at)
            return
        with self._index.transaction() as db:
            _insert(db, lock, at)
            _release(db, hit_id, now, "not-locked", "settings")

    def is_kept(self, rule_id: str) -> bool:
        """Return whether a hit of this rule lasts whose surroundings are kept."""
        return rule_id in self._open_hits

    def hit_goes_on(self, rule_id: str, at_us: int, *, ended: bool) -> None:
        """Move the end of the span with a hit that lasts."""
        known = self._open_hits.get(rule_id)
        if known is None:
            return
        hit_id, until_us = known
        wanted_us = at_us + round(self._settings.event_post_s * 1e6)
        if ended:
            del self._open_hits[rule_id]
        if 0 <= until_us - wanted_us <= _AHEAD_US:
            return  # further ahead than that: the time was set back meanwhile
        until_us = wanted_us if ended else wanted_us + _AHEAD_US
        if not ended:
            self._open_hits[rule_id] = (hit_id, until_us)
        with self._index.transaction() as db:
            db.execute("UPDATE locks SET to_utc_us = ? WHERE lock_id = ?", (until_us, hit_id))

    def name_incident(self, lock_id: str, incident_id: str) -> None:
        """Say which incident a hit's lock belongs to: it may have joined one of others."""
        with self._index.transaction() as db:
            db.execute("UPDATE locks SET incident_id = ? WHERE lock_id = ?", (incident_id, lock_id))

    def release_due(self) -> int:
        """Release what has expired, and the oldest event locks while all hold too much."""
        now, trusted, released = self._clock.utc_now(), self._trusted_now(), 0
        with self._index.transaction() as db:
            if trusted is not None:
                for row in db.execute(
                    "SELECT lock_id FROM locks WHERE released_utc_us IS NULL"
                    " AND expires_utc_us <= ?",
                    (micros(trusted),),
                ).fetchall():
                    _release(db, row["lock_id"], now, "expired", "time")
                    released += 1
                db.execute(
                    "DELETE FROM locks WHERE released_utc_us < ?", (micros(trusted - HISTORY),)
                )
            held, capacity = held_bytes(db), self._capacity()
            while held > capacity:
                oldest = db.execute(
                    "SELECT lock_id FROM locks WHERE released_utc_us IS NULL AND kind = 'event'"
                    " ORDER BY from_utc_us LIMIT 1"
                ).fetchone()
                if oldest is None:
                    break
                _release(db, oldest["lock_id"], now, "share", f"{held} of {capacity} bytes")
                released += 1
                held = held_bytes(db)
            if held < 0.9 * capacity:
                self.is_full = False
        return released

    def _recordings_now(self) -> datetime | None:
        with self._index.reading() as db:
            return trusted_now(db, self._folder, self._clock, boot_id())

    def _save_soon(self, kind: LockKind) -> None:
        """It holds; its file is tried again by the upkeep when the disk refuses that now."""
        if kind is LockKind.EVIDENCE:
            try:
                self.save_evidence()
            except OSError as error:
                self._log.warning("evidence locks not saved", detail=str(error))

    def save_evidence(self) -> None:
        """Keep evidence locks in a file, too: they must outlive a damaged index.

        Called now and then: some expire, or are re-dated with their video. Raises `OSError`.
        """
        with self._index.reading() as db:
            held = [lock for lock in all_locks(db) if lock.kind is LockKind.EVIDENCE]
        data, path = msgspec.json.encode(held), self._folder / EVIDENCE_FILE
        if data != (path.read_bytes() if path.exists() else b"[]"):
            write_whole(path, data)

    def _refuse_if_full(self, db: Connection, lock: Lock) -> None:
        """Undo a lock that no release of event locks could make room for."""
        capacity, evidence = self._capacity(), held_bytes(db, LockKind.EVIDENCE)
        is_evidence = lock.kind is LockKind.EVIDENCE
        if evidence > capacity or (evidence == capacity and not is_evidence):
            raise StorageError(
                "lock.share_full",
                f"Evidence locks hold {evidence} of the {capacity} bytes that locks may hold.",
                hint="Export and remove old locks, or raise `buffer.lock_max_share`.",
            )

    def _refused(self, lock: Lock, now: datetime) -> None:
        self.is_full = True
        self._log.error("lock refused", lock=lock.lock_id, kind=lock.kind, by=lock.approver)
        with self._index.transaction() as db:
            journal.note(db, now, "lock-refused", lock.lock_id, f"{lock.kind} by {lock.approver}")


def restore_evidence(index: Index, folder: Path) -> int:
    """Take evidence locks into an index that was made anew; return how many."""
    try:
        held = msgspec.json.decode((folder / EVIDENCE_FILE).read_bytes(), type=list[Lock])
    except (OSError, msgspec.MsgspecError):
        return 0
    with index.transaction() as db:
        for lock in held:
            if _find(db, lock.lock_id) is None:
                _insert(db, lock, None)
    return len(held)


def capacity_of(folder: Path, settings: BufferSettings, cameras: int) -> int:
    """Return how many bytes one camera's locks may hold on this disk."""
    facts = os.statvfs(folder)
    return int(facts.f_blocks * facts.f_frsize * settings.lock_max_share / max(1, cameras))


def held_bytes(db: Connection, kind: LockKind | None = None) -> int:
    """Return the bytes of the segments that held locks cover, each counted once."""
    row = db.execute(
        "SELECT coalesce(sum(bytes), 0) FROM segments WHERE segment_id IN"
        " (SELECT s.segment_id FROM locks l CROSS JOIN segments s"
        " ON s.start_utc_us < l.to_utc_us AND s.start_utc_us > l.from_utc_us - ?"
        " AND s.start_utc_us + s.duration_us > l.from_utc_us"
        " WHERE l.released_utc_us IS NULL AND (l.kind = ? OR ? IS NULL))",
        (LONGEST_SEGMENT_US, kind, kind),
    ).fetchone()
    return int(row[0])


def all_locks(db: Connection, *, released: bool = False) -> list[Lock]:
    """Return the locks that hold, oldest first; with `released` those of the past, too."""
    rows = db.execute(
        "SELECT * FROM locks WHERE released_utc_us IS NULL OR ? ORDER BY from_utc_us", (released,)
    )
    return [_lock(row) for row in rows]


def _refuse_nonsense(lock: Lock, now: datetime) -> None:
    if lock.until <= lock.since:
        raise StorageError("lock.bad_span", "A lock must end after it begins.", hint="Swap them.")
    if lock.expires_at <= now:
        raise StorageError(
            "lock.expired",
            f"The lock would already have expired at {lock.expires_at:%Y-%m-%d %H:%M:%S} UTC.",
            hint="Give a later expiry; check the box's clock.",
        )


def _find(db: Connection, lock_id: str) -> Lock | None:
    row = db.execute("SELECT * FROM locks WHERE lock_id = ?", (lock_id,)).fetchone()
    return None if row is None else _lock(row)


def _insert(db: Connection, lock: Lock, moment: Moment | None) -> None:
    db.execute(
        "INSERT INTO locks (lock_id, kind, from_utc_us, to_utc_us, from_boot_id, from_mono_us,"
        " incident_id, approver, made_utc_us, expires_utc_us) VALUES (?,?,?,?,?,?,?,?,?,?)",
        (
            lock.lock_id,
            lock.kind,
            micros(lock.since),
            micros(lock.until),
            moment.boot_id if moment else None,
            moment.mono_us if moment else None,
            lock.incident_id,
            lock.approver,
            micros(lock.made_at),
            micros(lock.expires_at),
        ),
    )


def _release(db: Connection, lock_id: str, at: datetime, why: str, detail: str) -> None:
    db.execute(
        "UPDATE locks SET released_utc_us = ?, released_why = ? WHERE lock_id = ?",
        (micros(at), why, lock_id),
    )
    journal.note(db, at, f"unlocked-{why}", lock_id, detail)


def _lock(row: Row) -> Lock:
    released_us = row["released_utc_us"]
    return Lock(
        lock_id=row["lock_id"],
        kind=LockKind(row["kind"]),
        since=from_micros(row["from_utc_us"]),
        until=from_micros(row["to_utc_us"]),
        incident_id=row["incident_id"],
        approver=row["approver"],
        made_at=from_micros(row["made_utc_us"]),
        expires_at=from_micros(row["expires_utc_us"]),
        released_at=None if released_us is None else from_micros(released_us),
        released_why=row["released_why"],
    )
