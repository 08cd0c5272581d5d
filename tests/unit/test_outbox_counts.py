"""The outbox counts as of its newest commit, and an idle box does not ask its disk for that."""

import asyncio
from contextlib import asynccontextmanager

from agent.contract.acks import Ack
from agent.contract.events import StreamName
from agent.core.db import Database
from agent.outbox import store
from agent.outbox.writer import Outbox
from tests.fake_clock import FakeClock

A, E = StreamName.ALARM, StreamName.EVENT


@asynccontextmanager
async def opened(folder):
    clock = FakeClock()
    db = Database(folder / "box.db", [store.PART])
    await db.start()
    outbox = Outbox(db, store.Store(clock, 1, max_bytes=1_000_000), clock)
    await outbox.start()
    yield db, outbox
    await db.stop()


async def queue(outbox, stream=E):
    await outbox.append(stream, lambda seq: b"{}", event_id=f"{stream}-{id(object())}")


async def test_what_was_queued_or_acknowledged_is_counted_by_who_asks_next(tmp_path):
    async with opened(tmp_path) as (_, outbox):
        for number in range(1, 4):
            await queue(outbox)
            assert (await outbox.counts())[E].waiting == number
            assert (await outbox.sample()).waiting == number
        await outbox.acknowledge({E: Ack(epoch=outbox.epoch, upto=2, id="")})
        assert (await outbox.counts())[E].waiting == 1
        assert (await outbox.watermarks())[E] == 2


async def test_counters_asked_for_while_others_write_are_never_kept_too_long(tmp_path):
    async with opened(tmp_path) as (_, outbox):
        for _ in range(20):
            await asyncio.gather(
                queue(outbox), outbox.counts(), queue(outbox, A), outbox.counts(), queue(outbox)
            )
        counts = await outbox.counts()
        assert (counts[E].waiting, counts[A].waiting) == (40, 20)


async def test_an_idle_box_does_not_ask_its_disk_again_and_again(tmp_path):
    async with opened(tmp_path) as (db, outbox):
        await queue(outbox)
        counts = await outbox.counts()
        asked = db.calls.count
        for _ in range(5):
            assert await outbox.counts() == counts
        assert db.calls.count == asked
