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
    """`discarded` came again and was thrown away by the center: the fault did bite."""

    fault: str
    said: int
    lost: int
    duplicated: int
    discarded: int

    def __str__(self):
        counts = f"{self.said:>7} {self.lost:>6} {self.duplicated:>6} {self.discarded:>10}"
        return f"{self.fault:<54}{counts}"


HEADING = f"{'fault':<54}{'said':>7} {'lost':>6} {'twice':>6} {'discarded':>10}"


class Trial:
    """What a scenario is given: `count` events to say, and the means to say and deliver them."""

    def __init__(self, folder: Path, broker, count: int):
        self.folder, self.broker, self.count = folder, broker, count
        self.said: list[str] = []
        self.refused = 0

    def settings(self, **changes) -> BrokerSettings:
        """Return the box's way to the broker."""
        return msgspec.structs.replace(self.broker.settings("box-1"), **changes)

    @asynccontextmanager
    async def box(self, settings=None, folder=None, *, knows_center=True):
        box = Box(folder or self.folder / "box", settings or self.settings())
        if not knows_center:  # its word that it is away was lost
            box.inbound.on_center = lambda _: None
        async with running(box):
            yield box

    @asynccontextmanager
    async def center(self, settings=None):
        settings = settings or self.broker.settings(CENTER)
        async with running(make_center(self.folder, settings)) as center:
            yield center

    async def say(self, box, count=None, pause_s=0.0):
        for number in range(self.count if count is None else count):
            event_id = new_ulid(box.clock.utc_now())
            try:
                await box.say(A if number % 10 == 0 else E, event_id=event_id)
            except StorageError:  # told to who says it, so not lost in silence
                self.refused += 1
            else:
                self.said.append(event_id)
            if pause_s:
                await asyncio.sleep(pause_s)

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
            again = db.execute("SELECT sum(redelivered) FROM streams").fetchone()[0]
        lost = set(self.said) - set(stored)
        return Row(fault, len(self.said), len(lost), len(stored) - len(set(stored)), again or 0)
