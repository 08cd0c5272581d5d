"""What root learns of the disks, the agent reads as facts; what nobody knows is unknown.

`smartctl` is a stand-in that prints reports as its own documents show them: no disk of a machine
that runs tests can be relied on to have any.
"""

import json
import os
from pathlib import Path

import pytest
from poleside_image import smart

from hardware.pick import pick_board
from tests.unit.trees.plant import plant

SMARTCTL = """#!/bin/sh
for disk; do :; done
cat "$REPORTS/$(basename "$disk").json" 2>/dev/null
exit 4
"""
REPORT = {
    "json_format_version": [1, 0],
    "device": {"name": "/dev/sda", "protocol": "ATA"},
    "serial_number": "S3Z9NB0K",
    "smart_status": {"passed": True},
    "endurance_used": {"current_percent": 41},
}


@pytest.fixture
def box(tmp_path, monkeypatch):
    """A PC with a disk at `sda` and a card, and a smartctl that prints what lies in `reports`."""
    root = plant("x86_pc", tmp_path / "root")
    for name in ("sda", "mmcblk0"):
        (root / "sys/block" / name / "device").mkdir(parents=True)
    (root / "sys/block/loop0").mkdir()
    reports, programs = tmp_path / "reports", tmp_path / "bin"
    reports.mkdir()
    programs.mkdir()
    (programs / "smartctl").write_text(SMARTCTL)
    (programs / "smartctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("REPORTS", str(reports))
    return root


def ask(root, reports=None):
    if reports is not None:
        file = Path(os.environ["REPORTS"]) / "sda.json"
        file.write_text(reports)
    assert smart.main(root, root / "run/poleside-smart") == 0
    state = pick_board(root).storage.read(Path("/mnt/video disk"))
    return state.life_used_pct, state.is_failing


def test_the_agent_reads_what_root_was_told_and_no_more_is_kept(box):
    assert ask(box, json.dumps(REPORT)) == (41, False)
    kept = json.loads((box / "run/poleside-smart/sda.json").read_text())
    assert kept == {
        "uptime_s": 110000.51,
        "smart_status": {"passed": True},
        "endurance_used": {"current_percent": 41},
    }
    assert (box / "run/poleside-smart/sda.json").stat().st_mode & 0o004
    assert [file.name for file in (box / "run/poleside-smart").iterdir()] == ["sda.json"]


def test_a_disk_that_is_failing_is_told_as_such(box):
    assert ask(box, json.dumps({**REPORT, "smart_status": {"passed": False}})) == (41, True)


@pytest.mark.parametrize("answer", ["", "smartctl: Permission denied", "[]", "{}"])
def test_a_disk_that_tells_nothing_any_more_is_unknown_at_once(box, answer):
    ask(box, json.dumps(REPORT))
    assert ask(box, answer) == (None, None)


def test_without_the_program_all_is_unknown_and_nothing_fails(box, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert ask(box) == (None, None)


def test_the_report_of_a_disk_that_was_taken_out_goes(box):
    ask(box, json.dumps(REPORT))
    (box / "sys/block/sda/device").rmdir()
    assert ask(box) == (None, None)
    assert list((box / "run/poleside-smart").iterdir()) == []
