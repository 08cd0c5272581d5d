"""The pole's bell, cabinet and outputs in the core: a press is an alarm with its camera's picture.

line or camera's input -> `agent.pole` -> here -> incident -> outbox; and `agent.app.bell_call`.
"""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from agent.app.worker_hub import WorkerHub
from agent.contract.events import MAX_THUMBNAIL_BYTES, Picture
from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Component
from agent.core.errors import PolesideError, StorageError
from agent.events.pole_signals import BELL
from agent.health import pole
from agent.health.fault import Fault
from agent.messages.pole import ContactState, PoleSignal
from agent.pole.bell_test import BellTest, BellVerdict
from agent.pole.heard_bells import HeardBells
from agent.pole.inputs import Inputs
from agent.pole.outputs import Outputs
from agent.pole.patient_lines import PatientLines
from agent.pole.signs import PoleSigns
from agent.settings.pole import InputSettings, Meaning, PoleSettings
from hardware.interface import Board

PICTURE_WIDTH_PX, WITHIN_S = 480, 0.15
AGAIN_S = 2.0  # a disk that refuses is asked again so often

TakeSignal = Callable[[PoleSignal, Picture | None], Awaitable[None]]


class PoleDesk:
    """Owns what hangs on the pole; `components` are to be run by the core."""

    def __init__(
        self,
        settings: PoleSettings,
        board: Board,
        hub: WorkerHub,
        take: TakeSignal,
        data_dir: Path,
        clock: Clock,
    ) -> None:
        self._hub, self._take, self._clock = hub, take, clock
        self._log = log.get("pole")
        self.on_claim: Callable[[], None] = lambda: None  # the claim button was pressed
        self.on_press: Callable[[PoleSignal], None] = lambda _: None  # a bell with a camera was
        lines = PatientLines(board.lines)
        self.inputs = Inputs(clock, lines, settings.inputs, self._signal)
        self.heard = HeardBells(clock, self._signal)  # those on cameras' inputs
        self.outputs = Outputs(clock, lines, settings.outputs)
        self.signs = PoleSigns(clock, board.signs, settings.signs)
        self.bell_test = BellTest(clock, self.inputs, self.outputs, data_dir, self._tested)

    @property
    def components(self) -> tuple[Component, ...]:
        """What the core keeps alive."""
        return self.inputs, self.heard, self.outputs, self.signs, self.bell_test

    @property
    def signals(self) -> tuple[PoleSignal, ...]:
        """The last word of each contact, those on cameras too."""
        return *self.inputs.signals, *self.heard.signals

    def faults(self) -> Iterator[Fault]:
        """What of it can't be relied on now."""
        yield from pole.contact_faults(self.signals)
        yield from pole.bell_test_faults(self.bell_test.verdicts)
        yield from pole.output_faults(
            {s.output_id: s.fault for s in self.outputs.states if s.fault}
        )

    async def _signal(self, signal: PoleSignal) -> None:
        if signal.meaning == Meaning.CLAIM and signal.state is ContactState.ACTIVE:
            self.on_claim()
        is_press = signal.meaning == BELL and signal.state is ContactState.ACTIVE
        if not is_press or not signal.camera_id:
            await self._taken(signal, None)
            return
        picture = await self._picture(signal)
        self.on_press(signal)  # first: whoever presses is seen and kept, whatever the disk says
        await self._taken(signal, picture)

    async def _taken(self, signal: PoleSignal, picture: Picture | None) -> None:
        """Have it committed. While the disk refuses, what the contact does next waits behind it."""
        is_told = False
        while True:
            try:
                await self._take(signal, picture)
            except StorageError as error:
                if not is_told:
                    self._log.error("contact not taken yet", input=signal.input_id, code=error.code)
                is_told = True
                await self._clock.sleep_s(AGAIN_S)
            else:
                return

    async def _picture(self, signal: PoleSignal) -> Picture | None:
        """Return the camera's newest picture; the worker has it at hand, so this takes no time."""
        if self._hub.status(signal.camera_id) is None:
            return None  # it is away, or hangs: nothing is waited for
        try:
            reply = await self._hub.picture(
                signal.camera_id, PICTURE_WIDTH_PX, MAX_THUMBNAIL_BYTES, within_s=WITHIN_S
            )
        except PolesideError:
            return None  # the call does not wait for a camera that is away
        if reply.jpeg is None or reply.taken_at is None:
            return None
        return Picture(
            taken_at=reply.taken_at,
            width_px=reply.width_px,
            height_px=reply.height_px,
            jpeg=reply.jpeg,
        )

    async def _tested(self, bell: InputSettings, verdict: BellVerdict) -> None:
        if verdict is not BellVerdict.WELL:
            self._log.error("bell failed its test", bell=bell.input_id, verdict=verdict.value)
