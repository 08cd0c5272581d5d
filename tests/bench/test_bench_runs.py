"""The bench runs from end to end on one camera and leaves no figure out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(260)  # eleven systems in turn; on a busy machine twice the usual minute
def test_a_short_bench_measures_every_system_and_process(tmp_path):
    json_file = tmp_path / "bench.json"
    short = ["--cameras", "1", "--rounds", "1", "--seconds", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", *short, "--json", str(json_file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr

    report = json.loads(json_file.read_bytes())
    systems = {row["system"]: row for row in report["systems"]}
    expected = {
        "poleside",
        "poleside, detector off",
        "poleside, recording only",
        "ffmpeg pipes + Python motion",
        "ffmpeg -c copy",
        "ffmpeg -c copy + decode sub",
    }
    assert expected <= systems.keys()
    for name, row in systems.items():
        assert name in done.stdout
        assert min(row["cpu_s"], row["times_copy"], row["times_floor"], row["of_it"]) > 0
        assert row["pss_mib"] > 0

    for commands in report["commands"].values():
        assert commands in done.stdout
        assert "-f segment" in commands
        assert "-f rawvideo pipe:1" in commands

    processes = {"supervisor", "camera worker", "detect", "core"}
    assert {row["process"] for row in report["processes"]} == processes
    assert {row["process"] for row in report["idle"]} == processes
    for row in report["processes"] + report["idle"]:
        assert row["pss_mib"] > 0
        assert row["cpu_s_per_minute"] > 0
    assert {row["what"] for row in report["start"]} == processes | {
        "bare Python",
        "poleside --help",
    }
    assert all(row["cpu_ms"] > 0 for row in report["start"])
    (writing,) = report["writing"]
    assert writing["stream_bytes_per_s"] > 0
    assert "written_bytes_per_s" in writing
    assert writing["flushes"]
    assert report["machine"]["cores"] > 0
