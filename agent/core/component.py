"""Keeping the parts of one asyncio process alive: start in order, restart, give up, stop.

A component that fails is started again after a growing, jittered wait. One that fails too often
ends the process by `GaveUpError`: the supervisor can only repair a process that is gone. Where a
full disk alone is the cause neither would help: it is tried again every two seconds.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from agent.core import log
from agent.core.clock import Clock
from agent.core.errors import PolesideError, StorageError

# Before Python 3.13 a TaskGroup cancelled while a child fails forgets the cancellation.
_CANCEL_AGAIN_S = 5.0


class Component(Protocol):
    """One part of a process. `run` works until it is cancelled; an exception is a failure.

    `last_progress_mono_s` is when it last did its job; None means that it has nothing to do
    periodically, and the watchdog doesn't wait for it. A restart is `stop`, a wait, `start`, `run`.
    """

    @property
    def name(self) -> str: ...

    @property
    def last_progress_mono_s(self) -> float | None: ...

    async def start(self) -> None: ...

    async def run(self) -> None: ...

    async def stop(self) -> None: ...


class Service:
    """A base for components: nothing to start or stop, progress told by `progressed()`."""

    name = "service"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.last_progress_mono_s: float | None = None

    def progressed(self) -> None:
        """Say that the component did its job just now."""
        self.last_progress_mono_s = self._clock.monotonic_s()

    async def start(self) -> None:
        """Prepare; called before each `run`."""

    async def stop(self) -> None:
        """Let go of what `start` took; called after each `run`, whatever ended it."""


class _Task(Service):
    """A plain coroutine function as a component."""

    def __init__(self, name: str, clock: Clock, job: Callable[[], Awaitable[None]]) -> None:
        super().__init__(clock)
        self.name, self._job = name, job

    async def run(self) -> None:
        await self._job()


class GaveUpError(PolesideError):
    """A component failed too often: the process must end and be started afresh."""


@dataclass(frozen=True, slots=True)
class RestartLimits:
    """The wait doubles from `first_wait_s` to `max_wait_s`; `failures` in `within_s` end it all.

    With the disk full it is `no_room_wait_s`, and no such failure counts.
    """

    first_wait_s: float = 0.5
    max_wait_s: float = 30.0
    failures: int = 8
    within_s: float = 600.0
    no_room_wait_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Health:
    """How one component does. `idle_s` is the time since its last progress, if it tells any."""

    running: bool
    idle_s: float | None
    restarts_total: int
    last_error: str


class _Care:
    """One component under care."""

    def __init__(self, component: Component, clock: Clock, limits: RestartLimits) -> None:
        self.component, self._clock, self._limits = component, clock, limits
        self.started = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.running, self.restarts_total, self.last_error = False, 0, ""
        self._failed_at: deque[float] = deque()
        self._log = log.get(component.name)

    async def live(self) -> None:
        """Run the component until it returns or is cancelled; raises `GaveUpError`."""
        while True:
            try:
                await self._once()
            except Exception as error:  # noqa: BLE001  the edge of a component: any failure counts
                wait_s = self._failed(error)
            else:
                return
            await self._clock.sleep_s(wait_s)
            self.restarts_total += 1

    async def _once(self) -> None:
        try:
            try:
                await self.component.start()
                self.running = True
            finally:
                self.started.set()
            await self.component.run()
        finally:
            self.running = False
            await self.component.stop()

    def _failed(self, error: Exception) -> float:
        now = self._clock.monotonic_s()
        self.last_error = str(error) or type(error).__name__
        if _is_full_disk(error):
            self._log.error("no room on the disk", reason=self.last_error)
            return self._limits.no_room_wait_s
        self._failed_at.append(now)
        while self._failed_at[0] < now - self._limits.within_s:
            self._failed_at.popleft()
        failures = len(self._failed_at)
        self._log.error("component failed", exc_info=error, failures=failures)
        if failures >= self._limits.failures:
            raise GaveUpError(
                "component.gave_up",
                f"{self.component.name} failed {failures} times: {self.last_error}.",
                hint="See the log; the process starts again by itself.",
            ) from error
        full_s = min(self._limits.max_wait_s, self._limits.first_wait_s * 2.0 ** (failures - 1))
        return full_s * random.uniform(0.5, 1.0)  # noqa: S311  spreads load, guards no secret


def _is_full_disk(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_full_disk, error.exceptions))
    return isinstance(error, StorageError) and error.code == "storage.full"


class Components:
    """The components of one process, in start order."""

    def __init__(self, clock: Clock, limits: RestartLimits | None = None) -> None:
        self._clock, self._limits = clock, limits or RestartLimits()
        self._cared: list[_Care] = []
        self._group: asyncio.TaskGroup | None = None

    def add(self, component: Component) -> None:
        """Take `component` into care; once `run` is on, it starts at once."""
        care = _Care(component, self._clock, self._limits)
        self._cared.append(care)
        if self._group is not None:
            self._begin(care, self._group)

    def spawn(self, name: str, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Take a coroutine function into care; it may return when it is done."""
        self.add(_Task(name, self._clock, job))

    async def run(self) -> None:
        """Start all one after another, keep them alive; when cancelled, stop in reverse order.

        Returns when every component has returned. Raises `GaveUpError` when one failed too often.
        """
        try:
            async with asyncio.TaskGroup() as self._group:
                try:
                    for care in list(self._cared):
                        self._begin(care, self._group)
                        await care.started.wait()
                    while live := [c.task for c in self._cared if c.task and not c.task.done()]:
                        await asyncio.wait(live)
                finally:
                    await self._stop_in_reverse()
        except* GaveUpError as group:
            raise group.exceptions[0] from None
        finally:
            self._group = None

    def idle_s(self, names: Iterable[str]) -> dict[str, float]:
        """Return how long ago these components did their job; 0 where nothing is due or known."""
        now_s = self._clock.monotonic_s()
        ages_s = dict.fromkeys(names, 0.0)
        for care in self._cared:
            name, last_s = care.component.name, care.component.last_progress_mono_s
            if last_s is not None and name in ages_s:
                ages_s[name] = now_s - last_s
        return ages_s

    def health(self) -> dict[str, Health]:
        """Return how each component does, by name."""
        now = self._clock.monotonic_s()
        return {
            care.component.name: Health(
                care.running,
                None if (last := care.component.last_progress_mono_s) is None else now - last,
                care.restarts_total,
                care.last_error,
            )
            for care in self._cared
        }

    def _begin(self, care: _Care, group: asyncio.TaskGroup) -> None:
        care.task = group.create_task(care.live(), name=care.component.name)

    async def _stop_in_reverse(self) -> None:
        for care in reversed(self._cared):
            while care.task is not None and not care.task.done():
                care.task.cancel()
                await asyncio.wait([care.task], timeout=_CANCEL_AGAIN_S)
