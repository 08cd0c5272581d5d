"""Whoever orders at the box hears that the disk is full, and the counter stays open."""

import asyncio

from agent.commands.counter import Counter, CounterOrder, ask
from agent.contract.commands import Replay, ReplyState
from agent.contract.events import StreamName
from agent.core.clock import SystemClock
from agent.core.errors import StorageError


class FullDisk:
    """Commands on a disk that takes nothing."""

    async def order(self, *_):
        raise StorageError("storage.full", "The disk can't take more.", retryable=True)


async def test_an_order_at_the_counter_is_answered_on_a_full_disk(tmp_path):
    clock = SystemClock()
    counter = Counter(clock, FullDisk(), "box-1", tmp_path)
    await counter.start()
    running = asyncio.create_task(counter.run())
    order = CounterOrder(args=Replay(stream=StreamName.EVENT, from_seq=1, to_seq=2), user="kim")
    for _ in range(2):
        reply = await ask(tmp_path, order, clock)
        assert (reply.state, reply.code) == (ReplyState.UNKNOWN, "storage.full")
    running.cancel()
    await asyncio.wait([running])
