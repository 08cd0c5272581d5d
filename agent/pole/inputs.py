"""The pole's contacts: lines to signals. Runs in the core process, a thread for each wire."""

import asyncio

from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.messages.pole import PoleSignal
from agent.pole.contact import Contact
from agent.pole.contact_watch import ContactWatch, OnSignal
from agent.pole.line_reader import LineReader
from agent.settings.pole import InputSettings
from hardware.lines import Bias, LineError, Lines

REOPEN_S, LOOK_S = 5.0, 1.0
HUNG_LOOKS = 2
_BIAS = {"up": Bias.PULL_UP, "down": Bias.PULL_DOWN, "none": Bias.NONE, "as-is": Bias.AS_IS}


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
            while self._watches:
                self.progressed()
                for watch in self._watches.values():
                    watch.look()
                await self._clock.sleep_s(to_tick_s(self._clock, LOOK_S))


class InputWatch(ContactWatch):
    """A contact on lines of the board: they are opened again and again, if need be."""

    def __init__(
        self, clock: Clock, lines: Lines, settings: InputSettings, on_signal: OnSignal
    ) -> None:
        super().__init__(clock, settings, on_signal)
        self._lines = lines
        self._readers: list[LineReader] = []
        self._hung_looks = 0

    async def run(self) -> None:
        """Read the contact until cancelled."""
        await self.tell_again()
        while True:
            try:
                self.contact = self._open(self._readers)
                await self.follow(self.contact)
            except LineError as error:
                await self.tell_lost(str(error))
            finally:
                self.contact = None
                for reader in self._readers:
                    reader.close()
                self._readers.clear()
            await self._clock.sleep_s(REOPEN_S)

    def look(self) -> None:
        """Notice a line whose driver hangs: it would be silent for ever.

        At the second look, for after a pause of the whole process a reader needs a moment.
        """
        hangs = any(reader.hangs for reader in self._readers)
        self._hung_looks = self._hung_looks + 1 if hangs else 0
        if self._hung_looks >= HUNG_LOOKS:
            self.lose(f"Line `{self.settings.line}` does not answer.")

    def _open(self, readers: list[LineReader]) -> Contact:
        """Take the lines and start their readers, which are added to `readers`."""
        entry, bias = self.settings, _BIAS[self.settings.pull]
        own = self._lines.open_input(entry.line, bias=bias, active_low=entry.active_low)
        self.found()
        readers.append(LineReader(own, self._clock, self.edge, self.lose))
        is_active, is_closed = own.read(), None
        if entry.closed_line:
            second = self._lines.open_input(
                entry.closed_line, bias=bias, active_low=entry.active_low
            )
            readers.append(LineReader(second, self._clock, self.closed_edge, self.lose))
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
