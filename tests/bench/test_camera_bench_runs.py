"""The bench of the cameras' control side runs from end to end and leaves no figure out."""

import subprocess
import sys
from pathlib import Path

import pytest

_BARS = {
    "<= 2.5 x",
    "<= 0.02 s",
    "<= 4 MB",
    "<= 10 %",
    "< +20 %",
    "<= 250 ms",
    "<= 15 s",
    "flat",
}


@pytest.mark.slow
def test_a_short_bench_tells_every_figure_and_whether_its_bar_is_met():
    counts = {"calls": 80, "seconds": 2, "reconnects": 20, "stops": 2, "reboots": 1, "away": 1}
    short = [f"--{name}={count}" for name, count in counts.items()]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.camera_control", *short],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line.rsplit("   ", 2)[-2:] for line in done.stdout.splitlines() if "   " in line]
    bars = [bar.strip() for bar, verdict in told if verdict in ("met", "MISSED")]
    assert set(bars) == _BARS
    assert len(bars) == len(_BARS) + 1  # two of them are to be flat
