"""The one clock authority: the only module that reads the wall clock or sleeps.

Wall time (`utc_now`) is for stamps and may jump; `monotonic_s` counts on through suspend and is
the only measure of durations. Every component is handed a `Clock`; tests hand in a fake one.
"""

import asyncio
import ctypes
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import CLOCK_BOOTTIME, clock_gettime  # asked many times a frame
from typing import ClassVar, Protocol

from agent.contract.events import TimeQuality

# A box without a battery clock boots in the past: nothing before this release was made is true.
RELEASE_FLOOR = datetime(2026, 1, 1, tzinfo=UTC)

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_LIBC = ctypes.CDLL(None, use_errno=True)
_TIMEX_BYTES = 208  # sizeof(struct timex) on 64-bit Linux, and some room


class Clock(Protocol):
    """Time as every component sees it."""

    def utc_now(self) -> datetime:
        """Return aware UTC wall time. It may jump; never subtract two of them for a duration."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds since boot, suspend included: one timeline for all processes of a box."""
        ...

    def quality(self) -> TimeQuality:
        """Say how far `utc_now` can be trusted just now."""
        ...

    async def sleep_s(self, seconds: float) -> None:
        """Let other tasks run for `seconds`."""
        ...


class SystemClock:
    """The real clock of the box. A time below `floor` is not believed.

    `proof`: on a box without a clock chip, the file that says that the time was synchronised in
    this boot; any process that sees it leaves it for the others. Until then no time is believed:
    it is only the moment of the last switch-off. None where a chip keeps the time.
    """

    floor: ClassVar[datetime] = RELEASE_FLOOR
    proof: ClassVar[Path | None] = None

    @classmethod
    def raise_floor(cls, at: datetime) -> None:
        """Know, for this process and those it forks, that it is later than `at`."""
        cls.floor = max(cls.floor, at)

    def utc_now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return clock_gettime(CLOCK_BOOTTIME)

    def quality(self) -> TimeQuality:
        now = self.utc_now()
        if now >= RELEASE_FLOOR and _kernel_says_synchronised():
            self._prove()
            return TimeQuality.NTP
        is_proven = self.proof is None or self.proof.exists()
        return TimeQuality.RTC if is_proven and now >= self.floor else TimeQuality.UNSYNCED

    async def sleep_s(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    @classmethod
    def _prove(cls) -> None:
        if cls.proof is not None and not cls.proof.exists():
            with suppress(OSError):
                cls.proof.touch()


def wait_s(event: threading.Event, seconds: float) -> bool:
    """Sleep in a thread until `event` is set or `seconds` are over; return whether it was set."""
    return event.wait(max(0.0, seconds))


def to_tick_s(clock: Clock, every_s: float) -> float:
    """Return how long it is to the next tick; a tick comes every `every_s` on the whole box.

    Loops that sleep from tick to tick wake together: one wake-up with warm caches for them all.
    """
    return every_s - clock.monotonic_s() % every_s


def utc_at(clock: Clock, mono_s: float) -> datetime:
    """Return the UTC time that `mono_s` (a recent `monotonic_s`) stands for just now."""
    return clock.utc_now() - timedelta(seconds=clock.monotonic_s() - mono_s)


def boot_id() -> str:
    """Return the kernel's id of this boot, so that monotonic times of two boots never mix."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
        return file.read().strip()


def _kernel_says_synchronised() -> bool:
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes = 0: only read
    state = _LIBC.adjtimex(buffer)
    return state not in (-1, _TIME_ERROR)
