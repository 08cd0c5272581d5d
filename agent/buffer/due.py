"""Which closed segments are due to go, by which rule: the whole policy, deleting nothing.

In this order: too old (age), old enough that the sub stream alone remains (sub-tier), nothing
happened (event-only mode), over the camera's own limit (share), disk or inodes low. What a held
lock covers is never due. Asks a connection only, so that
`poleside buffer prune --dry-run` answers exactly what the worker would do.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from sqlite3 import Connection, Row

from agent.buffer.index import MAIN, SUB, micros
from agent.buffer.journal import Doomed
from agent.buffer.locks import LONGEST_SEGMENT_US
from agent.core.clock import RELEASE_FLOOR
from agent.settings.model import BufferSettings

SUB_TIER = "sub-tier"  # the rule by which main segments go when the sub stream of their time stays

_COLUMNS = "s.segment_id, s.path, s.bytes, s.start_utc_us, s.duration_us"
_OVERLAPS = "l.to_utc_us > s.start_utc_us AND l.from_utc_us < s.start_utc_us + s.duration_us"
_HELD = f"SELECT 1 FROM locks l WHERE l.released_utc_us IS NULL AND {_OVERLAPS}"  # noqa: S608
_UNLOCKED = f"s.state = 'closed' AND NOT EXISTS ({_HELD})"
_UNEVENTFUL = f"NOT EXISTS (SELECT 1 FROM locks l WHERE {_OVERLAPS})"  # noqa: S608
# Stamped before this software existed, or tomorrow, by a clock nobody had proven: no time at all.
# An index made anew does not know whether it was.
_TIMELESS = (
    "(s.time_quality IN ('unproven', 'rebuilt')"
    " AND (s.start_utc_us < :floor_us OR s.start_utc_us > :tomorrow_us))"
)
_SUB = "FROM segments k WHERE k.stream = 'sub' AND k.state = 'closed' AND k.start_utc_us"
_MIDDLE, _END = "s.start_utc_us + s.duration_us / 2", "s.start_utc_us + s.duration_us"
# The first look is one step in an index; the second sums up, of what passed the first.
_SUB_REMAINS = (
    f"(SELECT k.start_utc_us + k.duration_us {_SUB} <= {_MIDDLE}"
    f" ORDER BY k.start_utc_us DESC LIMIT 1) > {_MIDDLE}"
    f" AND (SELECT sum(min(k.start_utc_us + k.duration_us, {_END})"
    f" - max(k.start_utc_us, s.start_utc_us)) {_SUB} < {_END}"
    f" AND k.start_utc_us > s.start_utc_us - {LONGEST_SEGMENT_US}"
    " AND k.start_utc_us + k.duration_us > s.start_utc_us) * 20 >= s.duration_us * 19"
)


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes or inodes of the disk. `everyones` is what all cameras together use of them."""

    free: int
    low: int
    high: int
    everyones: int
    cameras: int
    is_filling_up: bool = False  # pruning has begun and has not reached the high mark yet

    @property
    def is_short(self) -> bool:
        """Whether something has to go."""
        return self.free < (self.high if self.is_filling_up else self.low)

    def after(self, before: "Room") -> "Room":
        """Return this room as seen by a pruning that began `before`."""
        return replace(self, is_filling_up=before.is_short)

    @property
    def fair_share(self) -> int:
        """What each camera may hold so that the high water mark is reached."""
        return max(0, self.everyones + self.free - self.high) // max(1, self.cameras)


@dataclass(frozen=True, slots=True)
class State:
    """What decides beside the index. `now` is None while the time is not to be trusted."""

    now: datetime | None
    room_bytes: Room
    room_inodes: Room

    def after(self, before: "State | None") -> "State":
        """Return this state as seen by a pruning that began `before`."""
        if before is None:
            return self
        return replace(
            self,
            room_bytes=self.room_bytes.after(before.room_bytes),
            room_inodes=self.room_inodes.after(before.room_inodes),
        )


def due(db: Connection, settings: BufferSettings, state: State, limit: int) -> list[Doomed]:
    """Return at most `limit` segments that should go now, each once."""
    found: dict[int, Doomed] = {}
    if state.now is not None:
        for doomed in _by_time(db, settings, state.now, limit):
            found.setdefault(doomed.segment_id, doomed)
    plan = _Plan(db, settings, state, list(found.values()))
    for row in _oldest_unlocked(db):
        if len(found) >= limit:
            break
        if row["segment_id"] in found:
            continue
        rule = plan.rule()
        if rule is None:
            break
        found[row["segment_id"]] = plan.take(_doomed(row, rule))
    return list(found.values())[:limit]


def oldest_unlocked(db: Connection, count: int, rule: str) -> list[Doomed]:
    """Return the oldest that may go at all."""
    return [_doomed(row, rule) for row in islice(_oldest_unlocked(db), count)]


class _Plan:
    """Counts on while segments are taken: own use shrinks, free room grows."""

    def __init__(
        self, db: Connection, settings: BufferSettings, state: State, gone: list[Doomed]
    ) -> None:
        self._settings, self._bytes, self._inodes = settings, state.room_bytes, state.room_inodes
        usage = db.execute("SELECT segments, bytes FROM usage").fetchone()
        self._own_segments, self._own_bytes = usage["segments"], usage["bytes"]
        self._freed_segments = self._freed_bytes = 0
        for segment in gone:
            self.take(segment)

    def take(self, segment: Doomed) -> Doomed:
        self._freed_segments += 1
        self._freed_bytes += segment.size_bytes
        return segment

    def rule(self) -> str | None:
        """Return why one more has to go, None when none has to."""
        own_bytes = self._own_bytes - self._freed_bytes
        own_segments = self._own_segments - self._freed_segments
        if self._settings.max_bytes is not None and own_bytes > self._settings.max_bytes:
            return "share"
        if self._bytes.is_short and _must_give(self._bytes, own_bytes, self._freed_bytes):
            return "disk-low"
        if self._inodes.is_short and _must_give(self._inodes, own_segments, self._freed_segments):
            return "inodes-low"
        return None


def _must_give(room: Room, own: int, freed: int) -> bool:
    """The camera over its fair share gives first; near the bottom everyone does."""
    free = room.free + freed
    if free < room.low // 2:
        return True
    return free < room.high and own > room.fair_share


def _by_time(
    db: Connection, settings: BufferSettings, now: datetime, limit: int
) -> Iterator[Doomed]:
    horizon = now - timedelta(days=settings.retention_days)
    times = {
        "horizon_us": micros(horizon),
        "floor_us": micros(RELEASE_FLOOR),
        "tomorrow_us": micros(now + timedelta(days=1)),
        "limit": limit,
    }
    # One without a time is as old as what was recorded after it.
    later = (
        f"SELECT s.start_utc_us FROM segments s WHERE NOT {_TIMELESS}"  # noqa: S608
        " AND s.run_id > t.run_id ORDER BY s.run_id LIMIT 1"
    )
    timeless = (
        f"SELECT {_COLUMNS} FROM segments s JOIN segments t USING (segment_id)"  # noqa: S608
        f" WHERE {_UNLOCKED} AND {_TIMELESS} AND ({later}) < :horizon_us LIMIT :limit"
    )
    aged = (
        f"SELECT {_COLUMNS} FROM segments s WHERE {_UNLOCKED} AND NOT {_TIMELESS}"  # noqa: S608
        " AND s.start_utc_us < :horizon_us AND s.start_utc_us + s.duration_us < :horizon_us"
        " ORDER BY s.start_utc_us LIMIT :limit"
    )
    for query in (timeless, aged):
        yield from (_doomed(row, "age") for row in db.execute(query, times))
    if settings.sub_after_days is not None:
        times["horizon_us"] = micros(now - timedelta(days=settings.sub_after_days))
        kept_as_sub = aged.replace(
            " ORDER BY", f" AND s.stream = 'main' AND {_SUB_REMAINS} ORDER BY", 1
        )
        yield from (_doomed(row, SUB_TIER) for row in db.execute(kept_as_sub, times))
    if settings.mode == "events":
        times["horizon_us"] = micros(now - timedelta(seconds=settings.events_keep_s))
        uneventful = aged.replace(" AND NOT", f" AND {_UNEVENTFUL} AND NOT", 1)
        yield from (_doomed(row, "no-event") for row in db.execute(uneventful, times))


def _oldest_unlocked(db: Connection) -> Iterator[Row]:
    """Each stream in the order it was recorded, both side by side."""
    streams = (
        db.execute(
            f"SELECT {_COLUMNS} FROM segments s WHERE {_UNLOCKED}"  # noqa: S608
            " AND +s.stream = ? ORDER BY s.run_id, s.start_utc_us",  # `+`: not by that index
            (stream,),
        )
        for stream in (MAIN, SUB)
    )
    return heapq.merge(*streams, key=lambda row: row["start_utc_us"])


def _doomed(row: Row, rule: str) -> Doomed:
    return Doomed(
        segment_id=row["segment_id"],
        path=row["path"],
        size_bytes=row["bytes"],
        start_us=row["start_utc_us"],
        duration_us=row["duration_us"],
        rule=rule,
    )
