"""On real footage the exam reaches what was reached: a floor just under the measured figures."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.local.cli.main import cli

pytestmark = [
    pytest.mark.footage,
    pytest.mark.skipif(
        "POLESIDE_FOOTAGE" not in os.environ, reason="POLESIDE_FOOTAGE names no footage folder"
    ),
]


def evaluate(tmp_path, clip, *options):
    named = Path(os.environ["POLESIDE_FOOTAGE"])
    folder = named / "dev" if (named / "dev").is_dir() else named
    command = ["evaluate", str(folder / clip), "--truth", str(folder), "--out", str(tmp_path)]
    told = CliRunner().invoke(cli, [*command, "--json", *options])
    assert told.exit_code == 0, told.output
    return json.loads(told.stdout)


def test_people_on_the_sub_stream_are_found_followed_and_counted(tmp_path):
    report = evaluate(tmp_path, "walk_a_sub_480p10_h264.mp4")
    assert report["detector"]["person"]["ap50"] >= 89.5
    assert report["tracker"]["idf1"] >= 0.88
    crossings = report["behaviours"]["line-crossing"]
    assert abs(crossings["found"] + crossings["false"] - crossings["truths"]) <= 1
    assert report["behaviours"]["intrusion"]["f1"] == 100


def test_people_are_followed_at_ten_updates_a_second(tmp_path):
    report = evaluate(tmp_path, "walk_a_sub_480p10_h264.mp4", "--fps", "10")
    assert report["tracker"]["idf1"] >= 0.87


def test_people_are_found_in_the_dark(tmp_path):
    assert evaluate(tmp_path, "night_576p10_h264.mp4")["detector"]["person"]["ap50"] >= 87.5


def test_what_was_left_behind_is_told(tmp_path):
    report = evaluate(tmp_path, "abandoned_576p10_h264.mp4")
    assert report["behaviours"]["abandoned-object"]["f1"] == 100
