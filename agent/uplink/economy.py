"""How sparing the box is with its line: the month's data of an LTE line, and storms.

Records and alarms always go. Thumbnails are left out as they are sent, never from the outbox: a
replay brings them when there is room. Telemetry is lengthened, files wait. Counters are in box.db,
a row a month (UTC); what was held back is told in telemetry. Runs in the core process.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from sqlite3 import Connection
from typing import Any

import msgspec

from agent.contract.events import StreamName, TimeQuality
from agent.contract.telemetry import DataSample
from agent.core import log
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.core.db import Database, Part
from agent.settings.model import DataSettings
from agent.uplink.storm import Storm

_LOOK_EVERY_S = 5.0
_SAVE_EVERY_S = 900.0  # spares the flash; a kill forgets no more than this or
_SAVE_EVERY_BYTES = 64 * 1024
_PICTURES = ("picture", "crop")

PART = Part(
    "data_use",
    [
        """
CREATE TABLE data_use (
    month TEXT PRIMARY KEY, used_bytes INTEGER NOT NULL, pictures_held INTEGER NOT NULL,
    samples_held INTEGER NOT NULL) WITHOUT ROWID;
"""
    ],
)


class Mode(StrEnum):
    NORMAL = "normal"
    SPARING = "sparing"
    STORM = "storm"
    SPENT = "spent"


# How much longer telemetry's period is in each mode.
_STRETCH = {Mode.NORMAL: 1, Mode.SPARING: 4, Mode.STORM: 4, Mode.SPENT: 12}


@dataclass(frozen=True, slots=True)
class MonthUse:
    """What one month carried and what was held back."""

    month: str
    used_bytes: int = 0
    pictures_held: int = 0
    samples_held: int = 0


class Economy(Service):
    """`carried` is what the line has carried since the process began, `waiting` the queue's length.

    Only an LTE line is counted. `changed` is called when the mode has changed.
    """

    name = "uplink.economy"

    def __init__(
        self,
        clock: Clock,
        db: Database,
        settings: DataSettings,
        *,
        is_lte: Callable[[], bool],
        carried: Callable[[], int],
        waiting: Callable[[], Awaitable[int]],
        is_sending: Callable[[], bool],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(clock)
        self._db, self._settings, self._is_lte = db, settings, is_lte
        self._carried, self._waiting, self._is_sending = carried, waiting, is_sending
        self._use, self._saved = MonthUse(""), MonthUse("")
        self._carried_before, self._saved_mono_s = 0, 0.0
        self._storm = Storm()
        self._changed = changed
        self._log = log.get(self.name)
        self.mode = Mode.NORMAL

    @property
    def stretch(self) -> int:
        """How many times longer telemetry's period is now."""
        return _STRETCH[self.mode]

    @property
    def holds_files(self) -> bool:
        """Whether files that are not urgent wait: for a wired line, or the next month."""
        return self._share() >= self._settings.sparing_share

    def told(self, until: datetime | None) -> None:
        """Take the center's word on a storm."""
        sure = self._clock.quality() is not TimeQuality.UNSYNCED
        self._storm.told(until, self._clock.utc_now(), self._clock.monotonic_s(), sure=sure)
        self._choose()

    def lighten(self, stream: StreamName, body: bytes) -> bytes:
        """Return a record as it is sent now: without its pictures when there is no room."""
        if self.mode is Mode.NORMAL or b'"picture":{' not in body:
            return body
        if self.mode is Mode.SPARING and stream is StreamName.ALARM:
            return body
        record: dict[str, Any] = msgspec.json.decode(body)
        data = {key: value for key, value in record["data"].items() if key not in _PICTURES}
        self._use = replace(self._use, pictures_held=self._use.pictures_held + 1)
        return msgspec.json.encode(record | {"data": data | {"picture_held": self.mode.value}})

    def held_samples(self, count: int) -> None:
        """Count health samples that were not sent."""
        self._use = replace(self._use, samples_held=self._use.samples_held + count)

    def sample(self) -> DataSample | None:
        """Return what is told of it; None on a wired line on which nothing is held back."""
        use = self._use
        if not self._is_lte() and self.mode is Mode.NORMAL and use.pictures_held == 0:
            return None
        return DataSample(
            month=use.month,
            mode=self.mode.value,
            used_bytes=use.used_bytes,
            limit_bytes=self._settings.monthly_bytes,
            pictures_held=use.pictures_held,
            samples_held=use.samples_held,
        )

    async def start(self) -> None:
        self._carried_before = self._carried()
        await self._begin_month()

    async def run(self) -> None:
        while True:
            await self._look()
            self.progressed()
            await self._clock.sleep_s(to_tick_s(self._clock, _LOOK_EVERY_S))

    async def stop(self) -> None:
        await self._save()

    async def _look(self) -> None:
        carried = self._carried()
        if self._is_lte():
            grown = carried - self._carried_before
            self._use = replace(self._use, used_bytes=self._use.used_bytes + max(0, grown))
        self._carried_before = carried
        now_s = self._clock.monotonic_s()
        self._storm.saw(await self._waiting(), now_s, is_sending=self._is_sending())
        is_due = now_s - self._saved_mono_s >= _SAVE_EVERY_S
        if is_due or self._use.used_bytes - self._saved.used_bytes >= _SAVE_EVERY_BYTES:
            await self._save()
        # A clock that is not set knows no month: what it counts is the last known month's.
        is_set = self._clock.quality() is not TimeQuality.UNSYNCED
        if is_set and self._month() != self._use.month:
            await self._save()
            await self._begin_month()
        self._choose()

    def _choose(self) -> None:
        share = self._share()
        mode = Mode.NORMAL
        if share >= 1:
            mode = Mode.SPENT
        elif self._storm.is_on(self._clock.monotonic_s()):
            mode = Mode.STORM
        elif share >= self._settings.sparing_share:
            mode = Mode.SPARING
        if mode is self.mode:
            return
        self.mode = mode
        self._log.warning("the line's mode", mode=mode.value, used_bytes=self._use.used_bytes)
        self._changed()

    def _share(self) -> float:
        limit = self._settings.monthly_bytes
        return self._use.used_bytes / limit if limit and self._is_lte() else 0.0

    def _month(self) -> str:
        return self._clock.utc_now().strftime("%Y-%m")

    async def _begin_month(self) -> None:
        is_set = self._clock.quality() is not TimeQuality.UNSYNCED
        month = self._month() if is_set else None
        known = await self._db.run(lambda connection: _load(connection, month))
        self._use = self._saved = known or MonthUse(self._month())

    async def _save(self) -> None:
        use, self._saved_mono_s = self._use, self._clock.monotonic_s()
        if use != self._saved:
            await self._db.run(lambda connection: _store(connection, use))
            self._saved = use


def _load(connection: Connection, month: str | None) -> MonthUse | None:
    """Read a month, or the last known one."""
    row = connection.execute(
        "SELECT * FROM data_use WHERE month = ifnull(?, month) ORDER BY month DESC LIMIT 1",
        (month,),
    ).fetchone()
    return None if row is None else MonthUse(*row)


def _store(connection: Connection, use: MonthUse) -> None:
    connection.execute(
        "INSERT INTO data_use (month, used_bytes, pictures_held, samples_held)"
        " VALUES (?, ?, ?, ?) ON CONFLICT (month) DO UPDATE SET"
        " used_bytes = excluded.used_bytes, pictures_held = excluded.pictures_held,"
        " samples_held = excluded.samples_held",
        (use.month, use.used_bytes, use.pictures_held, use.samples_held),
    )
