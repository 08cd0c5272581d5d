"""Bells on cameras' own digital inputs: what the cameras tell takes the way of the pole's contacts.

camera's events -> `heard` -> `agent.pole.contact` -> signal, as of a bell on a GPIO line.

A press is told at its first word and ends once the input has rested, so that neither a bounce nor a
press that comes and goes in one message is lost. One that was held before anybody listened is a
call, too: whoever holds it may have pressed while the box started.
"""

import asyncio
from collections.abc import Collection

from agent.core.clock import Clock
from agent.core.component import Service
from agent.messages.pole import PoleSignal
from agent.pole.contact import Contact
from agent.pole.contact_watch import ContactWatch, OnSignal
from agent.settings.pole import InputSettings, Meaning
from hardware.lines import LineError

RELEASE_S, WIRE_S = 1.0, 3.0  # the wires of one button may come in two messages


class HeardBells(Service):
    """All of them; they come to be as they are heard of. Called in the event loop."""

    name = "pole.heard-bells"

    def __init__(self, clock: Clock, on_signal: OnSignal) -> None:
        super().__init__(clock)
        self._on_signal = on_signal
        self._watches: dict[str, HeardBell] = {}
        self._new: asyncio.Queue[HeardBell] = asyncio.Queue()

    @property
    def signals(self) -> tuple[PoleSignal, ...]:
        """The last word of each bell that has spoken."""
        return tuple(w.signal for w in self._watches.values() if w.signal is not None)

    def heard(self, camera_id: str, bell: str, *, is_active: bool) -> None:
        """A camera says how its input is."""
        self._watch(camera_id, bell).heard(is_active=is_active)

    def heard_closed(self, camera_id: str, bell: str, *, is_active: bool) -> None:
        """A camera says how the second input of a changeover button is."""
        self._watch(camera_id, bell).heard_closed(is_active=is_active)

    def expect(self, camera_id: str, bells: Collection[str], *, any_other: bool) -> None:
        """A camera should have these bells and, unless `any_other` may come, no more."""
        for bell in bells:
            self._watch(camera_id, bell)
        if not any_other:
            self._forget(camera_id, {f"{camera_id}-{bell}" for bell in bells})

    def lost(self, camera_id: str) -> None:
        """A camera is not heard any more, so its bells aren't."""
        for watch in self._watches.values():
            if watch.settings.camera_id == camera_id:
                watch.lose("The camera is not heard.")

    def forget(self, camera_id: str) -> None:
        """A camera is no longer the box's."""
        self._forget(camera_id, frozenset())

    async def run(self) -> None:
        while not self._new.empty():
            self._new.get_nowait()  # all there are begin below
        async with asyncio.TaskGroup() as tasks:
            for watch in self._watches.values():
                tasks.create_task(watch.run())
            while True:
                tasks.create_task((await self._new.get()).run())

    def _forget(self, camera_id: str, but: Collection[str]) -> None:
        for input_id, watch in tuple(self._watches.items()):
            if watch.settings.camera_id == camera_id and input_id not in but:
                watch.is_over = True
                watch.lose("The camera has no such bell any more.")
                del self._watches[input_id]

    def _watch(self, camera_id: str, bell: str) -> "HeardBell":
        input_id = f"{camera_id}-{bell}"
        if input_id not in self._watches:
            entry = InputSettings(
                input_id=input_id, meaning=Meaning.BELL, line=input_id, camera_id=camera_id
            )
            self._watches[input_id] = HeardBell(self._clock, entry, self._on_signal)
            self._new.put_nowait(self._watches[input_id])
        return self._watches[input_id]


class HeardBell(ContactWatch):
    """One of them. Its contact is made when it is first heard, and again after it was lost."""

    _is_closed: bool | None = None
    is_over = False  # nobody will hear of it again

    def heard(self, *, is_active: bool) -> None:
        """Take how it is now."""
        now_s = self._clock.monotonic_s()
        if not self.is_over:
            self.found()  # a loss that was not told yet is none
        if self.contact is None:
            self.contact = Contact(
                0.0,
                self.settings.stuck_s(),
                is_active=False,
                is_closed=self._is_closed,
                mono_s=now_s,
                release_s=RELEASE_S,
                wire_s=WIRE_S,
            )
            self._news.set()
        if is_active is not self.contact.is_active:
            self.edge(is_active, now_s)

    def heard_closed(self, *, is_active: bool) -> None:
        """Take how its second wire is now."""
        self._is_closed = is_active
        if self.contact is not None and is_active is not self.contact.is_closed:
            self.closed_edge(is_active, self._clock.monotonic_s())

    async def run(self) -> None:
        """Tell what becomes of it until it is over."""
        await self.tell_again()
        while not self.is_over:
            try:
                await self._listen()
            except LineError as error:
                self.contact = self._is_closed = None
                self.found()
                await self.tell_lost(str(error))

    async def _listen(self) -> None:
        if self.contact is not None:
            await self.follow(self.contact)
        elif self._lost:
            raise LineError(self._lost)
        else:
            self._news.clear()
            await self._news.wait()
