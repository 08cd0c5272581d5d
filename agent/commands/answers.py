"""What the center is told of its orders: that they were taken, how far they are, how they ended."""

import asyncio
from collections.abc import Awaitable, Callable

from agent.contract.commands import Reply, ReplyState
from agent.core import log
from agent.core.clock import Clock
from agent.core.errors import PolesideError

_AT_ONCE_S = 0.1

Answer = Callable[[Reply], Awaitable[None]]


class Answers:
    """Says each thing once. What is done at once is answered by its end alone.

    `run` must run for what takes longer: it is said to be accepted first.
    """

    def __init__(self, clock: Clock, answer: Answer) -> None:
        self._clock, self._answer = clock, answer
        self._progress: dict[str, Reply] = {}  # what was said last of those that are being done
        self._taken: asyncio.Queue[tuple[str, float]] = asyncio.Queue()
        self._unheard_of: set[str] = set()
        self._log = log.get("commands")

    def taken(self, command_id: str) -> None:
        """An order is on the disk and will be done."""
        self._unheard_of.add(command_id)
        self._taken.put_nowait((command_id, self._clock.monotonic_s() + _AT_ONCE_S))

    def last(self, command_id: str) -> Reply:
        """Return what to say to one who asks again for what is being done."""
        self._unheard_of.discard(command_id)
        in_work = Reply(id=command_id, state=ReplyState.PROGRESS, message="still at it")
        return self._progress.get(command_id, in_work)

    async def progress(self, command_id: str, text: str, result: dict[str, object] | None) -> bool:
        """Say how far an order is; return whether the center was reached."""
        reply = Reply(id=command_id, state=ReplyState.PROGRESS, message=text, result=result)
        self._progress[command_id] = reply
        self._unheard_of.discard(command_id)
        return await self.say(reply)

    async def ended(self, reply: Reply) -> None:
        """Say how an order ended, which is on the disk."""
        self._progress.pop(reply.id, None)
        self._unheard_of.discard(reply.id)
        await self.say(reply)

    async def say(self, reply: Reply) -> bool:
        try:
            await self._answer(reply)
        except PolesideError as error:  # the center asks again and is answered from the journal
            self._log.info("reply not sent", command_id=reply.id, code=error.code)
            return False
        return True

    async def run(self) -> None:
        while True:
            command_id, due_mono_s = await self._taken.get()
            await self._clock.sleep_s(due_mono_s - self._clock.monotonic_s())
            if command_id in self._unheard_of:
                self._unheard_of.discard(command_id)
                await self.say(Reply(id=command_id, state=ReplyState.ACCEPTED))
