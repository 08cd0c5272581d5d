"""A clock that a test moves by hand: nobody waits, and every sleeper wakes in its order."""

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

from agent.contract.events import TimeQuality


class FakeClock:
    """Stands still until `advance`; its wall time may be stepped without touching durations."""

    def __init__(self, at: datetime = datetime(2026, 11, 22, 12, tzinfo=UTC)):
        self._at, self.mono_s = at, 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future]] = []
        self._order = itertools.count()

    def utc_now(self) -> datetime:
        return self._at

    def monotonic_s(self) -> float:
        return self.mono_s

    def quality(self) -> TimeQuality:
        return TimeQuality.NTP

    async def sleep_s(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.mono_s + seconds, next(self._order), future))
        await future

    def pass_s(self, seconds: float) -> None:
        """Let time pass for code without tasks."""
        self.mono_s += seconds
        self._at += timedelta(seconds=seconds)

    async def advance(self, seconds: float) -> None:
        """Let time pass; tasks that sleep wake at their times and run until they wait again."""
        end_s = self.mono_s + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= end_s:
            due_s, _, future = heapq.heappop(self._sleepers)
            self.pass_s(max(0.0, due_s - self.mono_s))
            if not future.done():
                future.set_result(None)
            await _settle()
        self.pass_s(end_s - self.mono_s)


async def _settle() -> None:
    """Give every ready task its turn, and the database's thread a moment to answer."""
    for _ in range(3):
        await asyncio.sleep(0.002)
