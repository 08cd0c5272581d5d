"""The systemd unit is valid, starts again for ever, and leaves a taken-over process little."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "image-build/units/poleside.service"
MOST_EXPOSURE = 2.0  # of 10; a bare unit has 9.6

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture
def unit(tmp_path):
    """The unit, with a program that exists on this machine."""
    text = UNIT.read_text().replace("/opt/poleside/bin/poleside", shutil.which("true"))
    copy = tmp_path / UNIT.name
    copy.write_text(text)
    return copy


def analyze(*arguments):
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"},
    )


@needs_systemd
def test_systemd_understands_every_line(unit):
    done = analyze("verify", unit)
    ours = [line for line in done.stderr.splitlines() if "poleside" in line]
    if done.returncode and not ours:
        pytest.skip(f"systemd-analyze verify can't run here: {done.stderr.strip()[:200]}")
    assert ours == []


@needs_systemd
def test_the_sandbox_is_tight(unit):
    done = analyze("security", "--offline=true", unit)
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    if found is None:
        pytest.skip(f"systemd-analyze security can't run here: {done.stderr.strip()[:200]}")
    assert float(found[1]) <= MOST_EXPOSURE


def test_the_unit_keeps_what_the_box_relies_on():
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(UNIT)
    service = parser["Service"]
    assert service["Type"] == "notify"
    assert service["Restart"] == "always"
    assert parser["Unit"]["StartLimitIntervalSec"] == "0"  # never gives up
    assert int(service["WatchdogSec"]) > 0
    assert service["User"] not in {"", "root"}
    assert service["StateDirectory"].split() == ["poleside", "poleside-medium"]
    assert service["RuntimeDirectory"] == "poleside"
    assert "MemoryMax" in service
    # ProtectClock would blind the question whether the clock is synchronised
    assert service["ProtectClock"] == "no"
    assert "CAP_SYS_TIME" not in service["CapabilityBoundingSet"]
