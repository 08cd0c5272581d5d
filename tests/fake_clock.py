"""A clock that a test moves by hand: nobody waits, and every sleeper wakes in its order."""

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

from agent.contract.events import TimeQuality

_PATIENCE_TURNS = 1000  # of a millisecond


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
        """Let time pass; tasks that sleep wake at their times and run until they sleep again."""
        end_s = self.mono_s + seconds
        await self.rests(min(1, self._count()))
        while self._sleepers and self._sleepers[0][0] <= end_s:
            sleeping = self._count()
            due_s, _, future = heapq.heappop(self._sleepers)
            self.pass_s(max(0.0, due_s - self.mono_s))
            if not future.done():
                future.set_result(None)
                await self.rests(sleeping)
        self.pass_s(end_s - self.mono_s)

    async def rests(self, sleepers: int = 1) -> None:
        """Wait until so many tasks sleep: what they did before is done. A task may also end."""
        for _ in range(_PATIENCE_TURNS):
            await asyncio.sleep(0.001)
            if self._count() >= sleepers:
                return

    def _count(self) -> int:
        return sum(1 for _, _, future in self._sleepers if not future.done())


class ChipClock(FakeClock):
    """The clock of a box whose clock chip is `off`, until the time is proven and it is not."""

    def __init__(self, at: datetime, off: timedelta):
        super().__init__(at)
        self.off = off

    def utc_now(self) -> datetime:
        return self._at + self.off

    def quality(self) -> TimeQuality:
        return TimeQuality.RTC if self.off else TimeQuality.NTP
