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


@pytest.mark.parametrize("device", ["video4linux", "media", "dma_heap"])
def test_a_ribbon_camera_can_be_opened(device):
    assert f"\nDeviceAllow=char-{device} rw\n" in UNIT.read_text()


@pytest.mark.parametrize("device", ["alsa", "ttyUSB", "ttyS", "ttyAMA"])
def test_a_loudspeaker_and_a_sign_can_be_opened(device):
    text = UNIT.read_text()
    assert f"\nDeviceAllow=char-{device} rw\n" in text
    assert {"audio", "dialout"} <= set(re.search(r"\nSupplementaryGroups=(.*)\n", text)[1].split())
    packages = UNIT.parents[1] / "packages/common.list"
    assert "alsa-utils" in packages.read_text().split()


def test_the_unit_keeps_what_the_box_relies_on():
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(UNIT)
    service = parser["Service"]
    assert service["Type"] == "notify"
    reboot_after_s = float(service["ExecStart"].partition("--reboot-after ")[2])
    assert 600 <= reboot_after_s <= 3600  # long after all restarts, and nobody else would do it
    assert service["Restart"] == "always"
    assert parser["Unit"]["StartLimitIntervalSec"] == "0"  # never gives up
    assert int(service["WatchdogSec"]) > 0
    assert service["User"] not in {"", "root"}
    assert service["StateDirectory"].split() == ["poleside", "poleside-medium"]
    assert service["RuntimeDirectory"] == "poleside"
    assert "MemoryMax" in service
    assert int(service["LogRateLimitBurst"]) <= 1000  # a minute: the flash is not for logs
    # ProtectClock would blind the question whether the clock is synchronised
    assert service["ProtectClock"] == "no"
    assert "CAP_SYS_TIME" not in service["CapabilityBoundingSet"]


POLKIT = """
const rules = [];
const polkit = { Result: { YES: "yes" }, addRule: (rule) => rules.push(rule) };
RULE
const asked = [
  ["org.freedesktop.login1.reboot", "poleside"],
  ["org.freedesktop.login1.reboot-multiple-sessions", "poleside"],
  ["org.freedesktop.login1.power-off", "poleside"],
  ["org.freedesktop.systemd1.manage-units", "poleside"],
  ["org.freedesktop.login1.reboot", "www-data"],
];
console.log(asked.map(([id, user]) => rules[0]({ id }, { user }) ?? "no").join(" "));
"""


def test_the_box_may_ask_for_a_reboot_and_for_nothing_else():
    rule = (UNIT.parent / "50-poleside-reboot.rules").read_text()
    done = subprocess.run(
        ["node", "-e", POLKIT.replace("RULE", rule)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["yes", "yes", "no", "no", "no"]


def test_logs_have_a_budget_on_the_flash():
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(UNIT.parent / "journald-poleside.conf")
    journal = parser["Journal"]
    assert int(journal["SystemMaxUse"].removesuffix("M")) <= 128
    assert journal["SyncIntervalSec"] == "5m"
