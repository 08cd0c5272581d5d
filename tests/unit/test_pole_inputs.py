"""Contacts on real (simulated) lines: told in order, lost and found, tested without an alarm."""

import asyncio
import contextlib
import threading

import pytest

from agent.core.clock import SystemClock
from agent.messages.pole import ContactState
from agent.pole.bell_test import BellTest, BellVerdict
from agent.pole.inputs import Inputs
from agent.pole.outputs import Outputs
from agent.settings.pole import InputSettings, Meaning, OutputSettings, Purpose
from hardware.boards.simulated_lines import FileLines

BELL = InputSettings(
    input_id="bell", meaning=Meaning.BELL, line="bell", active_low=False, test_output="test"
)
TESTER = OutputSettings(output_id="test", purpose=Purpose.BELL_TEST, line="test", max_on_s=5)
PATIENCE_S = 30.0


class Pole:
    """A bell on a simulated board; what it says is in `told`."""

    def __init__(self, folder):
        self.folder, self.told, self.verdicts = folder, [], []
        self._news = asyncio.Event()
        clock, lines = SystemClock(), FileLines(folder)
        self.inputs = Inputs(clock, lines, (BELL,), self._signal)
        self.outputs = Outputs(clock, lines, (TESTER,))
        self.test = BellTest(clock, self.inputs, self.outputs, folder, self._verdict)

    async def _signal(self, signal):
        self.told.append(signal)
        self._news.set()

    async def _verdict(self, _, verdict):
        self.verdicts.append(verdict)

    def press(self, level="1"):
        (self.folder / "bell").write_text(level)

    async def says(self, *states):
        async with asyncio.timeout(PATIENCE_S):
            while [signal.state for signal in self.told] != list(states):
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def pole(tmp_path):
    made = Pole(tmp_path)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(part.run()) for part in (made.inputs, made.outputs)]
        await made.says(ContactState.IDLE)
        yield made
        for task in running:
            task.cancel()


async def test_a_press_is_told_with_its_own_id_from_beginning_to_end(pole):
    pole.press()
    await pole.says(ContactState.IDLE, ContactState.ACTIVE)
    pole.press("0")
    await pole.says(ContactState.IDLE, ContactState.ACTIVE, ContactState.IDLE)
    first, pressed, released = pole.told
    assert pressed.press_id == released.press_id != first.press_id
    assert pressed.at <= released.at
    assert (pressed.meaning, pressed.was) == ("bell", ContactState.IDLE)


async def test_a_line_that_is_lost_is_unknown_not_idle(pole):
    (pole.folder / "bell").unlink()
    await pole.says(ContactState.IDLE, ContactState.UNKNOWN)
    assert "no longer answers" in pole.told[-1].detail


@contextlib.contextmanager
def wire(folder, *, ends):
    """Join the test output to the bell, as a relay in the cabinet does; `ends`: it lets go."""
    stop = threading.Event()

    def carry():
        while not stop.wait(0.01):
            level = (folder / "test").read_text()
            if level == "1" or (ends and level == "0"):
                (folder / "bell").write_text(level)

    thread = threading.Thread(target=carry)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


async def test_the_daily_test_rings_the_bell_and_alarms_nobody(pole):
    with wire(pole.folder, ends=True):
        verdict = await pole.test.test(pole.inputs.watch("bell"))
    assert verdict is BellVerdict.WELL
    assert [signal.state for signal in pole.told] == [ContactState.IDLE]
    assert pole.verdicts == [BellVerdict.WELL]


async def test_a_bell_that_does_not_ring_in_its_test_is_silent(pole):
    assert await pole.test.test(pole.inputs.watch("bell")) is BellVerdict.SILENT


async def test_a_press_that_outlasts_the_test_is_told(pole):
    with wire(pole.folder, ends=False):
        verdict = await pole.test.test(pole.inputs.watch("bell"))
    assert verdict is BellVerdict.HANGS
    await pole.says(ContactState.IDLE, ContactState.ACTIVE)


async def test_a_bell_in_use_is_not_tested(pole):
    pole.press()
    await pole.says(ContactState.IDLE, ContactState.ACTIVE)
    assert await pole.test.test(pole.inputs.watch("bell")) is BellVerdict.UNTESTED
