"""The voice's bench runs from end to end and leaves no figure out."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_short_uplink_bench_tells_every_figure():
    short = ["--events", "2000", "--queued", "5000", "--idle-s", "1", "--idle-hours", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.uplink", *short],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    bars = [
        line.split("   ")[-1].strip().removesuffix(": missed") for line in done.stdout.splitlines()
    ]
    expected = ">= 0.6 x|<= 2 x|< 20 ms|<= 100 x|<= 4 x|<= 0.25 x|<= 1 s|<= 1 ms|<= 0.3 MB"
    assert set(expected.split("|")) <= set(bars)
