"""`poleside box` tells the truth on this machine and on every recorded board."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.local.cli.box import box
from tests.unit.trees.plant import TREES, plant

ALL_TREES = sorted(tree.stem for tree in TREES.glob("*.toml"))
PARTS = {
    *("board", "temperature", "supply", "throttling", "disk", "disk wear", "clock chip"),
    *("processor", "fan", "watchdog", "mains and battery", "detector chip", "ribbon camera"),
    "digital lines",
}


def run(*arguments):
    return CliRunner().invoke(box, arguments, catch_exceptions=False)


def selftest(root, data_dir="/data"):
    result = run("selftest", "--json", "--root", str(root), "--data-dir", data_dir)
    findings = json.loads(result.output)
    assert result.exit_code == (1 if any(f["answer"] == "fault" for f in findings) else 0)
    return findings


@pytest.mark.parametrize("tree", ALL_TREES)
def test_every_recorded_board_answers_for_every_part(tree, tmp_path):
    findings = selftest(plant(tree, tmp_path))
    assert {finding["part"] for finding in findings} >= PARTS
    for finding in findings:
        assert finding["sentence"]
        assert bool(finding.get("code")) == (finding["answer"] == "fault")


def answers(findings):
    return {(finding["part"], finding["answer"]) for finding in findings}


def test_a_hot_pi_on_a_bad_supply_says_both(tmp_path):
    found = selftest(plant("raspberry_pi_4_hot", tmp_path))
    codes = {finding.get("code") for finding in found}
    assert codes >= {"board.hot", "board.under_voltage", "board.throttled"}
    assert ("watchdog", "well") in answers(found)
    assert ("clock chip", "absent") in answers(found)
    assert {("supply", "fault"), ("throttling", "fault")} <= answers(found)


def test_a_healthy_compute_module_has_no_fault(tmp_path):
    found = selftest(plant("raspberry_pi_cm4", tmp_path))
    assert answers(found) >= {
        (part, "well")
        for part in ("supply", "throttling", "disk", "disk wear", "clock chip", "fan", "watchdog")
    }
    assert "fault" not in {finding["answer"] for finding in found}


def test_a_pi_5_at_its_first_heat_limit_says_so_and_that_its_clock_lost_the_time(tmp_path):
    found = selftest(plant("raspberry_pi_5", tmp_path))
    assert {f["code"] for f in found if f["answer"] == "fault"} == {"board.soft_limited"}
    assert ("ribbon camera", "well") in answers(found)
    assert answers(found) >= {("supply", "well"), ("clock chip", "unknown"), ("disk wear", "well")}


def test_a_jetson_says_what_it_can_and_that_its_supply_is_unknown(tmp_path):
    found = selftest(plant("jetson_orin", tmp_path))
    assert {f["code"] for f in found if f["answer"] == "fault"} == {"board.throttled_before"}
    (supply,) = [finding for finding in found if finding["part"] == "supply"]
    assert answers(found) >= {("disk", "well"), ("disk wear", "unknown"), ("watchdog", "well")}
    assert (supply["answer"], "VDD_IN 5.05 V 1.18 A" in supply["sentence"]) == ("unknown", True)
    (processor,) = [finding for finding in found if finding["part"] == "processor"]
    assert processor["answer"] == "well"
    assert "GPU 306 of 625 MHz, GPU 68.2 % busy" in processor["sentence"]


def test_what_debians_kernel_can_not_tell_of_a_pi_is_unknown_and_no_fault(tmp_path):
    found = selftest(plant("raspberry_pi_3_debian", tmp_path))
    assert answers(found) >= {("supply", "unknown"), ("disk wear", "unknown"), ("fan", "absent")}
    assert {f["part"] for f in found if f["answer"] == "fault"} == {"disk"}  # its tree: in memory


def test_a_pc_on_its_ups_after_a_watchdog_reset_with_a_dying_disk_says_so(tmp_path):
    found = selftest(plant("x86_pc", tmp_path), "/mnt/video disk")
    codes = {finding.get("code") for finding in found}
    assert codes >= {
        "board.on_battery",
        "board.watchdog_reset",
        "board.watchdog_off",
        "board.fan_stopped",
        "disk.failing",
        "disk.read_only",
        "disk.worn",
    }
    assert ("detector chip", "well") in answers(found)


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("sys/class/watchdog/watchdog0/state", "watchdog"),
        ("sys/class/hwmon/hwmon2/fan1_input", "fan"),
    ],
)
def test_a_part_that_is_there_and_does_not_tell_how_it_is_is_unknown(file, part, tmp_path):
    root = plant("raspberry_pi_cm4", tmp_path)
    (root / file).unlink()
    assert (part, "unknown") in answers(selftest(root))


def test_a_virtual_machine_knows_its_disk_and_claims_no_more(tmp_path):
    found = selftest(plant("virtual_machine", tmp_path))
    assert {f["part"] for f in found if f["answer"] == "well"} == {"disk"}
    assert "fault" not in {f["answer"] for f in found}


def test_an_empty_machine_is_unknown_in_every_part_and_nothing_is_made_up(tmp_path):
    found = selftest(tmp_path)
    assert {finding["answer"] for finding in found} == {"unknown", "absent"}


@pytest.mark.parametrize(
    ("sensor", "part"),
    [
        ("sys/class/thermal/thermal_zone0/temp", "temperature"),
        ("proc/self/mountinfo", "disk"),
        ("sys/class/rtc/rtc0/name", "clock chip"),
    ],
)
def test_a_sensor_that_blocks_is_named_and_all_others_answer(sensor, part, tmp_path):
    root = plant("raspberry_pi_4_hot", tmp_path)
    (root / sensor).unlink(missing_ok=True)
    (root / sensor).parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(root / sensor)  # every read of it blocks for ever
    command = [sys.executable, "-m", "agent.local.cli.main", "box", "selftest", "--json"]
    where = ["--root", str(root), "--data-dir", "/data"]
    done = subprocess.run([*command, *where], capture_output=True, timeout=60, check=False)
    findings = json.loads(done.stdout)
    assert done.returncode == 1
    (said,) = [finding for finding in findings if finding["part"] == part]
    assert said["code"] == "board.part_silent"
    assert {finding["part"] for finding in findings} >= PARTS - {"disk wear"}


def test_this_machine_answers_in_words_and_in_json():
    shown = run("status")
    assert shown.exit_code == 0
    assert "temperatures" in shown.output
    report = json.loads(run("status", "--json").output)
    assert report["identity"]["kind"] in {"generic-linux", "raspberry-pi", "jetson"}
    assert run("lines").exit_code == 0
    assert isinstance(json.loads(run("lines", "--json").output), list)


@pytest.mark.parametrize("broken", ["sys/class/thermal/thermal_zone0/temp", "proc/self/mountinfo"])
def test_a_sensor_that_vanishes_or_lies_ends_nothing(broken, tmp_path):
    root = plant("raspberry_pi_4_hot", tmp_path)
    (Path(root) / broken).unlink()
    assert selftest(root)
    (Path(root) / broken).write_bytes(b"\xff\x00garbage\n" * 50)
    assert selftest(root)
