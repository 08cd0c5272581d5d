"""The pole's contacts: lines to signals. Runs in the core process, a thread for each wire."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC

from agent.core import log
from agent.core.clock import Clock, utc_at
from agent.core.component import Service
from agent.core.ids import new_ulid
from agent.messages.pole import ContactState, PoleSignal
from agent.pole.contact import Change, Contact
from agent.pole.line_reader import LineReader
from agent.settings.pole import InputSettings
from hardware.lines import Bias, LineError, Lines

REOPEN_S = 5.0
_BIAS = {"up": Bias.PULL_UP, "down": Bias.PULL_DOWN, "none": Bias.NONE, "as-is": Bias.AS_IS}

OnSignal = Callable[[PoleSignal], Awaitable[None]]


class Inputs(Service):
    """All contacts of the settings; each change is one awaited `on_signal`."""

    name = "pole.inputs"

    def __init__(
        self, clock: Clock, lines: Lines, inputs: tuple[InputSettings, ...], on_signal: OnSignal
    ) -> None:
        super().__init__(clock)
        self._watches = {
            entry.input_id: InputWatch(clock, lines, entry, on_signal) for entry in inputs
        }

    @property
    def signals(self) -> tuple[PoleSignal, ...]:
        """The last word of each contact that has spoken."""
        return tuple(w.signal for w in self._watches.values() if w.signal is not None)

    @property
    def testable(self) -> "tuple[InputWatch, ...]":
        """The contacts that have a test output."""
        return tuple(w for w in self._watches.values() if w.settings.test_output)

    def watch(self, input_id: str) -> "InputWatch | None":
        """Return one contact's watch, None when there is no such contact."""
        return self._watches.get(input_id)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for watch in self._watches.values():
                tasks.create_task(watch.run())


class InputWatch:
    """One contact: opens its lines, again and again if need be, and tells what becomes of it."""

    def __init__(
        self, clock: Clock, lines: Lines, settings: InputSettings, on_signal: OnSignal
    ) -> None:
        self._clock, self._lines, self.settings = clock, lines, settings
        self._on_signal = on_signal
        self._log = log.get(f"pole.{settings.input_id}")
        self._news = asyncio.Event()
        self._contact: Contact | None = None
        self._lost = ""
        self._press_id = ""
        self._told: ContactState | None = None
        self.signal: PoleSignal | None = None
        self.is_tested = False  # what it says now is a test's doing, and told to nobody

    async def run(self) -> None:
        """Read the contact until cancelled."""
        while True:
            readers: list[LineReader] = []
            try:
                self._contact = self._open(readers)
                await self._watch(self._contact)
            except LineError as error:
                await self._tell_lost(str(error))
            finally:
                self._contact = None
                for reader in readers:
                    reader.close()
            await self._clock.sleep_s(REOPEN_S)

    def _open(self, readers: list[LineReader]) -> Contact:
        """Take the lines and start their readers, which are added to `readers`."""
        entry, bias = self.settings, _BIAS[self.settings.pull]
        own = self._lines.open_input(entry.line, bias=bias, active_low=entry.active_low)
        self._lost = ""
        readers.append(LineReader(own, self._clock, self._edge, self._lose))
        is_active, is_closed = own.read(), None
        if entry.closed_line:
            second = self._lines.open_input(
                entry.closed_line, bias=bias, active_low=entry.active_low
            )
            readers.append(LineReader(second, self._clock, self._closed_edge, self._lose))
            is_closed = second.read()
        contact = Contact(
            entry.debounce_ms / 1000,
            entry.stuck_s(),
            is_active=is_active,
            is_closed=is_closed,
            mono_s=self._clock.monotonic_s(),
        )
        for reader in readers:
            reader.start()
        return contact

    async def _watch(self, contact: Contact) -> None:
        while True:
            self._news.clear()
            if self._lost:
                raise LineError(self._lost)
            change = contact.judge(self._clock.monotonic_s())
            if change is not None:
                await self._tell(change)
                continue
            await self._news_until(contact.due_s())

    async def _news_until(self, due_s: float | None) -> None:
        try:
            async with asyncio.timeout(
                None if due_s is None else max(0.0, due_s - self._clock.monotonic_s())
            ):
                await self._news.wait()
        except TimeoutError:
            pass

    def _edge(self, is_active: bool, mono_s: float) -> None:
        if self._contact is not None:
            self._contact.edge(is_active=is_active, mono_s=mono_s)
        self._news.set()

    def _closed_edge(self, is_active: bool, mono_s: float) -> None:
        if self._contact is not None:
            self._contact.closed_edge(is_active=is_active, mono_s=mono_s)
        self._news.set()

    def _lose(self, reason: str) -> None:
        self._lost = reason
        self._news.set()

    async def _tell_lost(self, reason: str) -> None:
        was = self.signal.state if self.signal is not None else None
        if was is not ContactState.UNKNOWN:
            self._log.warning("contact lost", reason=reason)
            now_s = self._clock.monotonic_s()
            change = Change(ContactState.UNKNOWN, was or ContactState.UNKNOWN, now_s)
            await self._tell(change, reason)

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

    async def tell_again(self) -> None:
        """After a test: tell what is so and was not told, such as a real press meanwhile."""
        if self.signal is not None and self.signal.state is not self._told:
            await self._say(self.signal)

    async def _say(self, signal: PoleSignal) -> None:
        self._told = signal.state
        await self._on_signal(signal)
