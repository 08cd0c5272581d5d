"""One contact and what is told of it: its press ids, its times, its tests. Core process.

Whoever hears its wires, a GPIO line's reader or a camera's events, brings the edges.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC

from agent.core import log
from agent.core.clock import Clock, utc_at
from agent.core.ids import new_ulid
from agent.messages.pole import ContactState, PoleSignal
from agent.pole.contact import Change, Contact
from agent.settings.pole import InputSettings
from hardware.lines import LineError

OnSignal = Callable[[PoleSignal], Awaitable[None]]


class ContactWatch:
    """Each change of `contact` is one awaited `on_signal`."""

    def __init__(self, clock: Clock, settings: InputSettings, on_signal: OnSignal) -> None:
        self._clock, self.settings, self._on_signal = clock, settings, on_signal
        self._log = log.get(f"pole.{settings.input_id}")
        self._news = asyncio.Event()
        self.contact: Contact | None = None
        self._lost = ""
        self._press_id = ""
        self._told: ContactState | None = None
        self.signal: PoleSignal | None = None
        self.is_tested = False  # what it says now is a test's doing, and told to nobody

    def edge(self, is_active: bool, mono_s: float) -> None:
        """Its own wire changed."""
        if self.contact is not None:
            self.contact.edge(is_active=is_active, mono_s=mono_s)
        self._news.set()

    def closed_edge(self, is_active: bool, mono_s: float) -> None:
        """The second wire of a changeover contact changed."""
        if self.contact is not None:
            self.contact.closed_edge(is_active=is_active, mono_s=mono_s)
        self._news.set()

    def lose(self, reason: str) -> None:
        """Nobody hears it any more."""
        self._lost = reason
        self._news.set()

    def found(self) -> None:
        """It is heard again: what was lost before is past."""
        self._lost = ""

    async def follow(self, contact: Contact) -> None:
        """Tell what becomes of `contact`. Raises `LineError` once it is lost."""
        while True:
            self._news.clear()
            change = contact.judge(self._clock.monotonic_s())
            if change is not None:  # before the loss: a press that was heard is a press
                await self._tell(change)
                continue
            if self._lost:
                raise LineError(self._lost)
            await self._news_until(contact.due_s())

    async def tell_lost(self, reason: str) -> None:
        """Tell, once, that nobody knows how it is."""
        was = self.signal.state if self.signal is not None else None
        if was is not ContactState.UNKNOWN:
            self._log.warning("contact lost", reason=reason)
            now_s = self._clock.monotonic_s()
            change = Change(ContactState.UNKNOWN, was or ContactState.UNKNOWN, now_s)
            await self._tell(change, reason)

    async def tell_again(self) -> None:
        """Tell what is so and was not told: during a test, or because nobody could take it."""
        is_untold = self.signal is not None and self.signal.state is not self._told
        if self.signal is not None and is_untold and not self.is_tested:
            await self._say(self.signal)

    async def _news_until(self, due_s: float | None) -> None:
        try:
            async with asyncio.timeout(
                None if due_s is None else max(0.0, due_s - self._clock.monotonic_s())
            ):
                await self._news.wait()
        except TimeoutError:
            pass

    async def _tell(self, change: Change, detail: str = "") -> None:
        at = utc_at(self._clock, change.mono_s).astimezone(UTC)
        if change.state is ContactState.ACTIVE or not self._press_id:
            self._press_id = new_ulid(at)
        self.signal = PoleSignal(
            input_id=self.settings.input_id,
            meaning=self.settings.meaning.value,
            state=change.state,
            was=change.was,
            press_id=self._press_id,
            at=at,
            mono_s=change.mono_s,
            tq=self._clock.quality(),
            camera_id=self.settings.camera_id,
            detail=detail,
        )
        if not self.is_tested:
            await self._say(self.signal)

    async def _say(self, signal: PoleSignal) -> None:
        await self._on_signal(signal)
        self._told = signal.state
