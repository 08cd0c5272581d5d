"""Sensors that vanish, lie or block cost their own answer: nothing waits for them."""

import os
import shutil
from pathlib import Path

import pytest

from agent.core.clock import SystemClock
from agent.health.care import board_faults
from agent.health.patience import Patience
from agent.health.vitals import VitalsReader
from hardware.pick import pick_board
from tests.unit.trees.plant import plant


@pytest.fixture
def lines(tmp_path):
    folder = tmp_path / "lines"
    folder.mkdir()
    return folder


@pytest.fixture
def reader(lines, tmp_path):
    board = pick_board(kind="simulated", lines_folder=lines)
    return VitalsReader(board, tmp_path, SystemClock())


def celsius(vitals):
    return [reading.celsius for reading in vitals.temperatures]


def codes(vitals):
    return [fault.code for fault in board_faults(vitals.silent, vitals.lost_sensors)]


def answer(fifo: Path, text: str):
    """Let the reader that hangs on `fifo` go on."""
    end = os.open(fifo, os.O_WRONLY)
    os.write(end, text.encode())
    os.close(end)


def test_a_read_that_blocks_costs_its_part_only_and_is_not_repeated(lines, reader):
    fifo = lines / "temperature"
    os.mkfifo(fifo)
    first = reader.read({})
    second = reader.read({})
    try:
        for vitals in (first, second):
            assert celsius(vitals) == []
            assert vitals.silent == ("thermometers",)
            assert vitals.memory_total_bytes > 0
            assert vitals.power.under_voltage is False
        assert codes(second) == ["board.part_silent"]
    finally:
        answer(fifo, "52")
        fifo.unlink()
    (lines / "temperature").write_text("53")
    patience = 100
    while (vitals := reader.read({})).silent and patience:
        patience -= 1
    assert (celsius(vitals), codes(vitals)) == ([53.0], [])


@pytest.mark.parametrize("nonsense", ["", "hot", "\x00"])
def test_a_sensor_that_spoke_and_tells_nonsense_is_unknown_and_told(lines, reader, nonsense):
    file = lines / "temperature"
    file.write_text("61")
    assert codes(reader.read({})) == []
    file.write_text(nonsense)
    vitals = reader.read({})
    assert (celsius(vitals), codes(vitals)) == ([None], ["board.sensor_lost"])
    file.write_text("60")
    assert codes(reader.read({})) == []


def test_a_sensor_that_vanishes_is_unknown_and_told_not_what_it_was(lines, reader):
    assert celsius(reader.read({})) == [45.0]  # nobody has set it yet
    file = lines / "temperature"
    file.write_text("61")
    assert celsius(reader.read({})) == [61.0]
    file.unlink()
    vitals = reader.read({})
    assert (celsius(vitals), codes(vitals)) == ([None], ["board.sensor_lost"])
    assert vitals.board_sample().temperature_c is None


def test_a_thermal_zone_that_vanishes_is_told_by_its_name(tmp_path):
    root = plant("raspberry_pi_cm4", tmp_path)
    reader = VitalsReader(pick_board(root), tmp_path, SystemClock())
    assert codes(reader.read({})) == []
    shutil.rmtree(root / "sys/class/thermal/thermal_zone0")
    vitals = reader.read({})
    assert (vitals.board_sample().temperature_c, vitals.lost_sensors) == (None, ("cpu-thermal",))
    assert codes(vitals) == ["board.sensor_lost"]


def test_a_part_that_fails_is_unknown():
    def fail():
        raise OSError("gone")

    patience = Patience()
    assert patience.ask("part", fail, None) is None
    assert patience.silent == ()
