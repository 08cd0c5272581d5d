"""Vitals are the machine's own figures; what can't be known is None."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent.core.clock import SystemClock
from agent.health.vitals import VitalsReader
from hardware.pick import pick_board
from tests.unit.trees.plant import plant


@pytest.fixture
def child():
    """A real process that spends some CPU time and then waits."""
    code = "sum(range(10**6)); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_memory_and_cpu_of_each_process_are_read(child, tmp_path):
    reader = VitalsReader(pick_board(kind="simulated"), tmp_path, SystemClock())
    first = reader.read({"detect": child.pid})
    assert first.processes[0].pss_bytes > 1024**2
    assert first.processes[0].cpu_s > 0
    assert first.processes[0].cpu_pct is None  # one look alone makes no share
    second = reader.read({"detect": child.pid})
    assert second.processes[0].cpu_pct >= 0
    (sample,) = second.process_samples({"detect": 2})
    assert (sample.name, sample.restarts_total) == ("detect", 2)


def test_a_process_that_is_gone_is_unknown_not_zero(child, tmp_path):
    child.kill()
    child.wait()
    reader = VitalsReader(pick_board(kind="simulated"), tmp_path, SystemClock())
    (use,) = reader.read({"camera gate": child.pid}).processes
    assert (use.pss_bytes, use.cpu_s, use.cpu_pct) == (None, None, None)


def test_a_data_folder_that_is_not_there_has_unknown_space(tmp_path):
    reader = VitalsReader(pick_board(kind="simulated"), tmp_path / "no", SystemClock())
    vitals = reader.read({})
    assert vitals.disk_free_bytes is None
    assert vitals.memory_total_bytes > vitals.memory_available_bytes > 0


def test_the_center_is_told_what_the_board_says_and_that_a_demo_is_one(tmp_path):
    root = plant("raspberry_pi_4_hot", tmp_path)
    sample = VitalsReader(pick_board(root), Path("/data"), SystemClock()).read({}).board_sample()
    assert (sample.temperature_c, sample.throttled, sample.undervoltage) == (82.3, True, True)
    assert sample.simulated is False

    demo = VitalsReader(pick_board(kind="simulated"), tmp_path, SystemClock()).read({})
    assert demo.board_sample().simulated is True


def test_the_center_is_told_what_holds_the_processor_back(tmp_path):
    root = plant("raspberry_pi_4_hot", tmp_path)
    power = (
        VitalsReader(pick_board(root), Path("/data"), SystemClock()).read({}).board_sample().power
    )
    assert (power.throttled_before, power.undervoltage_before) == (True, True)
    assert (power.frequency_capped, power.soft_limited) == (False, False)


def test_the_center_is_told_the_rails_and_the_power_mode_by_their_names(tmp_path):
    root = plant("jetson_orin", tmp_path)
    power = (
        VitalsReader(pick_board(root), Path("/data"), SystemClock()).read({}).board_sample().power
    )
    assert power.rails
    assert all(rail.volts is not None for rail in power.rails.values())


def test_of_a_board_that_says_nothing_of_its_supply_nothing_is_told(tmp_path):
    vitals = VitalsReader(pick_board(tmp_path), Path("/data"), SystemClock()).read({})
    assert vitals.board_sample().power is None
    assert vitals.board_sample().watchdog_armed is None
