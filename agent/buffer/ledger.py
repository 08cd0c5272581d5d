"""The coverage ledger: for every camera-minute, how many frames were due and how many are stored.

The recorder's observer counts what it stores, minute by minute, in the same transaction that closes
a segment; `account` lays the gaps with their causes beside it. A minute without frames and without
a gap is told as `unexplained`: the ledger never invents a reason. It is of the main stream.

Each minute carries its mode. In an `events` one (event-only mode) frames count as stored when the
box held them for an event to come; that they went again without one is no gap.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from sqlite3 import Connection
from typing import Protocol

from agent.buffer import reading
from agent.buffer.index import RunStart, SegmentEnd, from_micros, micros
from agent.buffer.locks import LONGEST_SEGMENT_US
from agent.buffer.reading import StoredGap
from agent.buffer.redating import MINUTE_US, spread
from agent.core.sqlite import Part

MINUTE = timedelta(minutes=1)
_RATE_FRAMES = 200  # frame intervals the camera's own rate is measured over
UNEXPLAINED = "unexplained"
CONTINUOUS, EVENTS = "continuous", "events"
_TIERS = ("full", "key-frames", "sub")  # the best first

PART = Part(
    "ledger",
    [
        """
CREATE TABLE minutes (minute INTEGER PRIMARY KEY, stored INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE rates (
    since_utc_us INTEGER PRIMARY KEY, milli_fps INTEGER NOT NULL) WITHOUT ROWID;
""",
        "CREATE TABLE event_minutes (minute INTEGER PRIMARY KEY) WITHOUT ROWID",
    ],
)


class TimedPacket(Protocol):
    """A packet, as far as counting needs it; the core reads the ledger and must not load libav."""

    @property
    def dts(self) -> int | None: ...

    @property
    def time_base(self) -> Fraction | None: ...


@dataclass(frozen=True, slots=True)
class Minute:
    """One camera-minute. `expected` is None while the camera's frame rate is not known.

    `tier` says what is there of it now: full, key-frames, sub, or none (deleted, or never kept).
    """

    at: datetime
    stored: int
    expected: int | None
    causes: tuple[str, ...]
    mode: str = CONTINUOUS
    tier: str = "none"

    @property
    def is_covered(self) -> bool:
        """Whether at least 95 % of the frames that were due are stored."""
        return self.expected is not None and self.stored >= 0.95 * self.expected


@dataclass(frozen=True, slots=True)
class Coverage:
    """A span of camera-minutes, summed up. `missing_s` by cause; `event_only` counts minutes."""

    since: datetime
    until: datetime
    minutes: int
    covered: int
    frames_stored: int
    frames_expected: int | None
    missing_s: dict[str, float]
    event_only: int = 0


class Ledger:
    """The observer that counts. Rates are noted when they change by more than a twentieth."""

    def __init__(self, mode: Callable[[], str] = lambda: CONTINUOUS) -> None:
        self._mode = mode
        self._stored: Counter[int] = Counter()
        self._intervals: Counter[int] = Counter()
        self._measured = 0  # intervals in all
        self._last_dts: int | None = None
        self._milli_fps = 0
        self._rate_since_us: int | None = None
        self._new_rate: int | None = None

    def run_started(self, _run_id: int, _start: RunStart) -> None:
        self._last_dts = None
        self._forget_intervals()

    def segment_opened(self, _segment_id: int, start_at: datetime) -> None:
        if self._rate_since_us is None:
            self._rate_since_us = micros(start_at)

    def packet_stored(self, packet: TimedPacket, at: datetime) -> None:
        self._stored[int(at.timestamp()) // 60] += 1
        dts, last_dts = packet.dts, self._last_dts
        if dts is None:
            return
        self._last_dts = dts
        if last_dts is not None and dts > last_dts:
            self._intervals[dts - last_dts] += 1
            self._measured += 1
            if self._measured >= _RATE_FRAMES and packet.time_base is not None:
                self._measure(float(packet.time_base))

    def segment_closing(self, connection: Connection, end: SegmentEnd) -> None:
        counted = _within(connection, end, self._stored)
        _add(connection, counted, self._mode())
        if self._new_rate is not None and self._rate_since_us is not None:
            connection.execute(
                "INSERT OR REPLACE INTO rates (since_utc_us, milli_fps) VALUES (?, ?)",
                (self._rate_since_us, self._new_rate),
            )
        self._stored.clear()
        self._new_rate = None

    def run_ended(self, _cause: str) -> None:
        self._last_dts = None

    def segment_recovered(
        self, connection: Connection, _path: Path, start_at: datetime, end: SegmentEnd
    ) -> None:
        _add(connection, spread(micros(start_at), end.duration_us, end.frames), self._mode())

    def segment_thinned(self, _connection: Connection, _segment_id: int, _old: Path) -> None:
        """The ledger tells what was recorded; thinning it later changes nothing of that."""

    def _measure(self, time_base_s: float) -> None:
        """The most common interval is the camera's own rate; lost frames only make others."""
        ticks, _ = self._intervals.most_common(1)[0]
        milli_fps = round(1000 / (ticks * time_base_s))
        if abs(milli_fps - self._milli_fps) * 20 > self._milli_fps:
            self._milli_fps = self._new_rate = milli_fps
        self._forget_intervals()

    def _forget_intervals(self) -> None:
        self._intervals.clear()
        self._measured = 0


def account(folder: Path, since: datetime, until: datetime) -> Iterator[Minute]:
    """Yield every camera-minute that lies wholly in [since, until), oldest first."""
    first = -(-micros(since) // MINUTE_US)
    last = micros(until) // MINUTE_US
    with closing(reading.open_index_reader(folder, [PART])) as db:
        stored = dict(
            db.execute(
                "SELECT minute, stored FROM minutes WHERE minute >= ? AND minute < ?", (first, last)
            ).fetchall()
        )
        rates = db.execute("SELECT * FROM rates ORDER BY since_utc_us").fetchall()
        event_minutes = {
            row[0]
            for row in db.execute(
                "SELECT minute FROM event_minutes WHERE minute >= ? AND minute < ?", (first, last)
            )
        }
        tiers = _tiers(db, first, last)
    gaps = reading.gaps(folder, since, until)
    for minute in range(first, last):
        at = from_micros(minute * MINUTE_US)
        expected = _expected(rates, minute)
        count = stored.get(minute, 0)
        causes = tuple(dict.fromkeys(gap.cause for gap in gaps if _touches(gap, at)))
        mode = EVENTS if minute in event_minutes else CONTINUOUS
        row = Minute(at, count, expected, causes, mode, tiers.get(minute, "none"))
        yield row if row.is_covered or causes else replace(row, causes=(UNEXPLAINED,))


def sum_up(folder: Path, since: datetime, until: datetime) -> Coverage:
    """Return the coverage of [since, until): the figures of the daily summary."""
    rows = list(account(folder, since, until))
    known = [row.expected for row in rows if row.expected is not None]
    missing_s: dict[str, float] = {}
    for gap in reading.gaps(folder, since, until):
        length = min(gap.until or until, until) - max(gap.since, since)
        missing_s[gap.cause] = missing_s.get(gap.cause, 0.0) + length.total_seconds()
    unexplained = sum(1 for row in rows if row.causes == (UNEXPLAINED,))
    if unexplained:
        missing_s[UNEXPLAINED] = unexplained * MINUTE.total_seconds()
    return Coverage(
        since=since,
        until=until,
        minutes=len(rows),
        covered=sum(row.is_covered for row in rows),
        frames_stored=sum(row.stored for row in rows),
        frames_expected=sum(known) if len(known) == len(rows) else None,
        missing_s={cause: round(seconds, 1) for cause, seconds in missing_s.items()},
        event_only=sum(row.mode == EVENTS for row in rows),
    )


def _within(connection: Connection, end: SegmentEnd, counted: Counter[int]) -> Counter[int]:
    """Return what was counted of a segment; spread over it where it was re-dated meanwhile."""
    query = "SELECT start_utc_us FROM segments WHERE segment_id = ?"
    row = connection.execute(query, (end.segment_id,)).fetchone()
    if row is None:
        return counted
    first = row[0] // MINUTE_US - 1
    last = (row[0] + end.duration_us) // MINUTE_US + 1
    if all(first <= minute <= last for minute in counted):
        return counted
    return spread(row[0], end.duration_us, counted.total())


def _add(connection: Connection, counted: Counter[int], mode: str) -> None:
    connection.executemany(
        "INSERT INTO minutes (minute, stored)"
        " VALUES (?, ?) ON CONFLICT (minute)"
        " DO UPDATE SET stored = stored + excluded.stored",
        counted.items(),
    )
    if mode == EVENTS:
        connection.executemany(
            "INSERT OR IGNORE INTO event_minutes (minute) VALUES (?)",
            ((minute,) for minute in counted),
        )


def _tiers(db: Connection, first: int, last: int) -> dict[int, str]:
    """Return the best that is kept of each minute from `first` up to `last`."""
    begin_us, end_us = first * MINUTE_US, last * MINUTE_US
    rows = db.execute(
        "SELECT start_utc_us, duration_us, CASE WHEN stream = 'sub' THEN 'sub'"
        " WHEN tier = 'key-frames' THEN tier ELSE 'full' END FROM segments"
        " WHERE start_utc_us > ? AND start_utc_us < ? AND start_utc_us + duration_us > ?",
        (begin_us - LONGEST_SEGMENT_US, end_us, begin_us),
    )
    best: dict[int, str] = {}
    for start_us, duration_us, tier in rows:
        for minute in range(start_us // MINUTE_US, (start_us + duration_us) // MINUTE_US + 1):
            best[minute] = min(best.get(minute, tier), tier, key=_TIERS.index)
    return best


def _expected(rates: list[tuple[int, int]], minute: int) -> int | None:
    """The rate in force at a minute; before the first one was measured, that first one."""
    if not rates:
        return None
    known = [milli for since_us, milli in rates if since_us <= (minute + 1) * MINUTE_US]
    return round((known[-1] if known else rates[0][1]) * 60 / 1000)


def _touches(gap: StoredGap, at: datetime) -> bool:
    return gap.since < at + MINUTE and (gap.until is None or gap.until > at)
