"""A line whose driver hangs is lost, and says so; it holds up neither the box nor other lines."""

import asyncio
import os
import threading

import pytest

from agent.core.clock import SystemClock
from agent.messages.pole import ContactState
from agent.pole import inputs as inputs_module
from agent.pole import line_reader
from agent.pole.inputs import Inputs
from agent.pole.outputs import Outputs
from agent.pole.patient_lines import PatientLines
from agent.settings.pole import InputSettings, Meaning, OutputSettings, Purpose
from hardware.boards.simulated_lines import FileLines
from hardware.lines import LineError

SIREN = OutputSettings(output_id="siren", purpose=Purpose.SIREN, line="siren")
DOOR = InputSettings(input_id="door", meaning=Meaning.DOOR, line="door", active_low=False)
PATIENCE_S = 30.0


@pytest.fixture
def lines(tmp_path):
    return PatientLines(FileLines(tmp_path), patience_s=0.05)


def hang(file):
    """Let every read and write of `file` block."""
    fifo = file.with_suffix(".fifo")
    os.mkfifo(fifo)
    fifo.rename(file)  # at once: a file that is not there for a moment would be another fault


def go_on(fifo, way=os.O_WRONLY):
    """Let whoever waits for the other end of `fifo` go on; who comes next finds an idle line."""
    end = os.open(fifo, way)
    fifo.rename(fifo.with_suffix(".hung"))
    fifo.write_text("0")
    os.close(end)


def test_a_line_that_hangs_when_opened_is_lost_until_it_answers(lines, tmp_path):
    hang(tmp_path / "bell")
    for _ in range(2):
        with pytest.raises(LineError, match="does not answer"):
            lines.open_input("bell", active_low=False)
    door = lines.open_input("door", active_low=False)
    assert door.read() is False
    go_on(tmp_path / "bell")
    for _ in range(1000):
        try:
            bell = lines.open_input("bell", active_low=False)
        except LineError:
            threading.Event().wait(0.01)
            continue
        assert bell.read() is False
        break
    else:
        pytest.fail("the line never came back")


def test_an_output_that_hangs_is_told_and_the_next_one_is_switched(tmp_path):
    lamp = OutputSettings(output_id="lamp", purpose=Purpose.LIGHT, line="lamp")
    lines = PatientLines(FileLines(tmp_path), patience_s=0.05)
    outputs = Outputs(SystemClock(), lines, (SIREN, lamp))
    outputs.switch("lamp", 5.0, on=True)
    hang(tmp_path / "siren")
    with pytest.raises(Exception, match="does not answer"):
        outputs.switch("siren", 5.0, on=True)
    siren, other = outputs.states
    assert (siren.is_on, other.is_on) == (None, True)
    assert "does not answer" in siren.fault
    go_on(tmp_path / "siren", os.O_RDONLY)


async def test_a_contact_whose_line_hangs_is_unknown_and_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr(line_reader, "HANGS_AFTER_S", 1.5)
    monkeypatch.setattr(inputs_module, "REOPEN_S", 0.1)
    said: list[ContactState] = []
    news = asyncio.Event()

    async def signal(told):
        said.append(told.state)
        news.set()

    async def says(*states):
        async with asyncio.timeout(PATIENCE_S):
            while said != list(states):
                news.clear()
                await news.wait()

    lines = PatientLines(FileLines(tmp_path), patience_s=0.05)
    inputs = Inputs(SystemClock(), lines, (DOOR,), signal)
    running = asyncio.ensure_future(inputs.run())
    await says(ContactState.IDLE)
    hang(tmp_path / "door")
    await says(ContactState.IDLE, ContactState.UNKNOWN)
    await asyncio.to_thread(go_on, tmp_path / "door")
    await says(ContactState.IDLE, ContactState.UNKNOWN, ContactState.IDLE)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
