"""One fault, one box, one center: which kept events the center's store lacks or has twice.

Said is what the box had committed; the count is made in the center's database afterwards.
"""

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent.core.errors import StorageError
from agent.core.ids import new_ulid
from agent.settings.model import BrokerSettings
from agent.simulators.broker import CENTER
from tests.spine import A, Box, E, eventually, make_center, running

STREAMS = (A, E)


@dataclass(frozen=True)
class Row:
    """`discarded` came again and was thrown away by the center; `seen` shows that the fault bit."""

    fault: str
    said: int
    lost: int
    duplicated: int
    discarded: int
    seen: str

    def __str__(self):
        counts = f"{self.said:>7} {self.lost:>5} {self.duplicated:>6} {self.discarded:>10}"
        return f"{self.fault:<58}{counts}  {self.seen}"


HEADING = f"{'fault':<58}{'said':>7} {'lost':>5} {'twice':>6} {'discarded':>10}  seen"


class Trial:
    """What a scenario is given: `count` events to say, and the means to say and deliver them."""

    def __init__(self, folder: Path, broker, count: int):
        self.folder, self.broker, self.count = folder, broker, count
        self.said: list[str] = []
        self.refused: list[str] = []
        self.seen = ""

    def settings(self, **changes) -> BrokerSettings:
        """Return the box's way to the broker."""
        return msgspec.structs.replace(self.broker.settings("box-1"), **changes)

    @asynccontextmanager
    async def box(self, settings=None, folder=None, *, knows_center=True, **kwargs):
        box = Box(folder or self.folder / "box", settings or self.settings(), **kwargs)
        if not knows_center:  # its word that it is away was lost
            box.inbound.on_center = lambda _: None
        async with running(box):
            yield box

    @asynccontextmanager
    async def center(self, settings=None):
        settings = settings or self.broker.settings(CENTER)
        async with running(make_center(self.folder, settings)) as center:
            yield center

    async def say(self, box, count=None, pause_s=0.0, alarms=0.1):
        """Say so many events, all of the trial's by default; `alarms` is the share of alarms."""
        for number in range(self.count if count is None else count):
            is_alarm = int((number + 1) * alarms) > int(number * alarms)
            await self._say(box, A if is_alarm else E, new_ulid(box.clock.utc_now()))
            if pause_s:
                await asyncio.sleep(pause_s)

    async def say_again(self, box):
        """Say what was refused once more, as an incident's keeper does."""
        refused, self.refused = self.refused, []
        for event_id in refused:
            await self._say(box, E, event_id)

    async def _say(self, box, stream, event_id):
        try:
            await box.say(stream, event_id=event_id)
        except StorageError:  # told to who says it, so not lost in silence
            self.refused.append(event_id)
        else:
            self.said.append(event_id)

    async def published(self, box):
        """Wait until the box has published all it may without an acknowledgement."""

        async def is_published():
            counts = await box.outbox.counts()
            return all(
                p.sent + 1 == counts[s].next_seq or p.room() == 0
                for s, p in box.sender._positions.items()
            )

        await eventually(is_published)

    def row(self, fault: str) -> Row:
        with closing(sqlite3.connect(self.folder / "center.db")) as db:
            where = "FROM records WHERE type LIKE 'edge.event.%'"
            stored = [row[0] for row in db.execute(f"SELECT id {where}")]
        lost = (set(self.said) | set(self.refused)) - set(stored)
        twice = len(stored) - len(set(stored))
        return Row(fault, len(self.said), len(lost), twice, self.came_again(), self.seen)

    def came_again(self) -> int:
        """Return how many records the center has thrown away so far, having them already."""
        return self._asked("SELECT coalesce(sum(redelivered), 0) FROM streams")

    def days_spanned(self) -> float:
        """Return how many days lie between the oldest and the newest event of the center."""
        at = "julianday(json_extract(CAST(body AS TEXT), '$.time'))"
        return self._asked(f"SELECT max({at}) - min({at}) FROM records")

    def _asked(self, query: str):
        with closing(sqlite3.connect(self.folder / "center.db")) as db:
            return db.execute(query).fetchone()[0]
