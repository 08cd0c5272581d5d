"""Sensors that vanish, lie or block cost their own answer: nothing waits for them."""

import os
import shutil
import threading
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from agent.core.clock import SystemClock
from agent.core.patience import Patience
from agent.health.care import board_faults
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
    found = board_faults(vitals.silent, vitals.lost_sensors, vitals.lost_parts)
    return [fault.code for fault in found]


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


def test_a_gpu_that_falls_asleep_is_no_lost_sensor(tmp_path):
    root = plant("jetson_orin", tmp_path)
    gpu = root / "sys/class/thermal/thermal_zone1/temp"
    gpu.write_text("48500\n")
    reader = VitalsReader(pick_board(root), tmp_path, SystemClock())
    assert 48.5 in celsius(reader.read({}))
    gpu.write_text("-256000\n")
    asleep = reader.read({})
    assert (48.5 in celsius(asleep), codes(asleep)) == (False, [])


def test_a_clock_chip_that_hangs_tells_no_time_of_long_ago(lines, reader):
    file = lines / "clock-chip"
    file.write_text("1795269600")
    assert reader.read({}).clock_chip.epoch_s == 1795269600
    file.unlink()
    os.mkfifo(file)
    hanging = reader.read({})
    answer(file, "1795269600")
    assert (hanging.silent, hanging.clock_chip.is_present) == (("clock chip",), True)
    assert hanging.clock_chip.epoch_s is None


def test_a_question_that_fails_costs_its_own_answer_and_not_the_next_one():
    patience = Patience()

    def fails():
        raise ValueError("what a library raises")

    for _ in range(3):
        assert patience.ask("bus", fails, "unknown") == "unknown"
        assert patience.ask("fan", lambda: "turns", "unknown") == "turns"
    assert patience.silent == ()


DIALS = {
    "under-voltage": ("0", "7", "supply voltage"),
    "fan-rpm": ("2400", "-1", "fan simulated"),
    "battery": ("80", "250", "supply simulated"),
    "disk-life": ("12", "-3", "disk wear"),
    "clock-chip": ("1795269600", "never", "clock chip"),
}


@pytest.mark.parametrize("dial", DIALS)
def test_what_a_board_told_and_no_longer_does_is_named(lines, reader, dial):
    well, lie, name = DIALS[dial]
    file = lines / dial
    file.write_text(well)
    before = reader.read({})
    assert codes(before) == []
    file.write_text(lie)
    lying = reader.read({})
    assert (codes(lying), lying.lost_parts) == (["board.part_lost"], (name,))
    file.unlink()
    assert reader.read({}).lost_parts == (name,)
    os.mkfifo(file)
    blocked = reader.read({})
    assert (codes(blocked), blocked.lost_parts) == (["board.part_silent"], ())
    answer(file, well)
    file.unlink()
    file.write_text(well)
    patience = 100
    while (vitals := reader.read({})).silent and patience:
        patience -= 1
    assert codes(vitals) == []
    assert vitals.board_sample() == replace(before.board_sample(), **moving(vitals))


def moving(vitals):
    """What of a sample changes from look to look by itself."""
    sample = vitals.board_sample()
    names = ("cpu_pct", "memory_free_bytes", "disk_free_bytes", "uptime_s", "disk_written_bytes")
    return {name: getattr(sample, name) for name in names}


def test_a_fan_or_a_rail_that_vanishes_from_a_real_board_is_told_by_its_name(tmp_path):
    root = plant("jetson_orin", tmp_path)
    reader = VitalsReader(pick_board(root), tmp_path, SystemClock())
    assert codes(reader.read({})) == []
    shutil.rmtree(root / "sys/class/hwmon/hwmon4")
    (root / "sys/class/hwmon/hwmon3/in1_input").write_text("-2000000\n")
    assert reader.read({}).lost_parts == ("supply line VDD_IN", "fan pwm_tach")


def test_a_part_that_fails_is_unknown():
    def fail():
        raise OSError("gone")

    patience = Patience()
    assert patience.ask("part", fail, None) is None
    assert patience.silent == ()


def test_of_many_parts_asked_together_only_those_that_hang_are_unknown():
    gate = threading.Event()

    def fail():
        raise OSError("gone")

    patience = Patience(0.2, logs=False)
    questions = {
        "one": lambda: 1,
        "hangs": lambda: gate.wait() and "late",
        "fails": fail,
        "hangs too": lambda: gate.wait() and "late",
        "two": lambda: 2,
    }
    assert patience.ask_all(questions) == {"one": 1, "two": 2}
    assert patience.silent == ("hangs", "hangs too")
    assert patience.ask_all(questions) == {"one": 1, "two": 2}
    gate.set()
    for left in [one for one in threading.enumerate() if one.name == "ask"]:
        left.join(0.5)  # those left behind end now; the one in use waits for questions
    told = patience.ask_all(questions)
    assert patience.silent == ()
    assert told == {"one": 1, "hangs": "late", "hangs too": "late", "two": 2}


def test_a_part_left_behind_answers_nothing_for_those_after_it():
    """Its thread goes on once it is let go; by then another has asked the others."""
    gate, left, asked = threading.Event(), [], []

    def hang():
        left.append(threading.current_thread())
        gate.wait()

    patience = Patience(0.2, logs=False)
    patience.ask_all({"hangs": hang, "after": lambda: asked.append(threading.current_thread())})
    gate.set()
    left[0].join()
    assert asked == [one for one in asked if one is not left[0]]
    assert len(asked) == 1


def test_parts_that_each_take_their_time_are_all_heard():
    patience = Patience(0.5, logs=False)
    nobody = threading.Event()
    slow = {str(number): partial(nobody.wait, 0.2) for number in range(5)}
    assert patience.ask_all(slow) == dict.fromkeys(slow, False)
    assert patience.silent == ()
