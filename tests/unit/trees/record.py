"""Record this board as a tree: `python -m tests.unit.trees.record /data > my_board.toml`.

Reads what `hardware` reads, and nothing else. Look the file over before sharing it: the serial
number is left out, but mount points may name things of your own.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")
GPUS = ("sys/devices/platform/bus@0/*.gpu", "sys/devices/platform/*.g*", "sys/devices/*.g*")
PATTERNS = (
    "proc/device-tree/model",
    "proc/device-tree/compatible",
    "sys/class/dmi/id/product_name",
    "sys/devices/platform/soc*/soc*:firmware/get_throttled",
    "sys/class/thermal/thermal_zone*/type",
    "sys/class/thermal/thermal_zone*/temp",
    "sys/class/thermal/thermal_zone*/trip_point_*_type",
    "sys/class/thermal/thermal_zone*/trip_point_*_temp",
    "sys/class/hwmon/hwmon*/name",
    "sys/class/hwmon/hwmon*/temp1_*",
    "sys/class/hwmon/hwmon*/in*_label",
    "sys/class/hwmon/hwmon*/in*_input",
    "sys/class/hwmon/hwmon*/in*_alarm",
    "sys/class/hwmon/hwmon*/curr*_input",
    "sys/class/hwmon/hwmon*/curr*_alarm",
    "sys/class/rtc/rtc*/name",
    "sys/class/rtc/rtc*/since_epoch",
    "sys/class/thermal/cooling_device*/type",
    "sys/class/thermal/cooling_device*/cur_state",
    "sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count",
    "sys/class/hwmon/hwmon*/fan*_input",
    "sys/class/hwmon/hwmon*/pwm[0-9]",
    "sys/class/hwmon/hwmon*/rpm",
    "sys/class/hwmon/hwmon*/oc*_event_cnt",
    "sys/class/watchdog/watchdog*/identity",
    "sys/class/watchdog/watchdog*/state",
    "sys/class/watchdog/watchdog*/time*",
    "sys/class/watchdog/watchdog*/bootstatus",
    "sys/class/watchdog/watchdog*/options",
    "sys/class/power_supply/*/type",
    "sys/class/power_supply/*/online",
    "sys/class/power_supply/*/status",
    "sys/class/power_supply/*/capacity",
    "sys/class/video4linux/v4l-subdev*/name",
    "sys/bus/usb/devices/*/idVendor",
    "sys/bus/usb/devices/*/idProduct",
    *(f"{place}/{file}" for place in GPUS for file in ("uevent", "load", "devfreq/*/*_freq")),
    "sys/class/devfreq/bwmgr/cur_freq",
    "sys/kernel/debug/bpmp/debug/clk/emc/rate",
    "sys/devices/system/cpu/cpufreq/policy[0-9]*/scaling_*_freq",
    "var/lib/nvpmodel/status",
    "etc/nvpmodel.conf",
    "run/poleside-smart/*.json",
    "proc/uptime",
)


def recorded(folder: Path, root: Path = ROOT) -> tuple[dict[str, str], dict[str, str]]:
    """Return (files, links) of the board under `root`, with the disk that holds `folder`."""
    paths = [path for pattern in PATTERNS for path in sorted(root.glob(pattern))]
    mounts = list(_mounts(folder, root))
    files = {"proc/self/mountinfo": "\n".join(mounts) + "\n"}
    links = {}
    for numbers in {line.split()[2] for line in mounts}:
        link = root / "sys/dev/block" / numbers
        if link.exists():
            links[f"sys/dev/block/{numbers}"] = str(link.readlink())
            device = link.resolve()
            disk = device.parent if (device / "partition").exists() else device
            paths += [device / "partition", device / "size"]  # the size keeps the folder there
            paths += [
                disk / "device" / name for name in ("model", "name", "life_time", "pre_eol_info")
            ]
            paths += [disk / "stat", disk / "queue/rotational"]
    for path in paths:
        content = _content(path)
        if content is not None:
            files[str(path.relative_to(root))] = content
    return files, links


def _mounts(folder: Path, root: Path) -> Iterator[str]:
    """Yield the mounts above `folder` only."""
    for line in (root / "proc/self/mountinfo").read_text().splitlines():
        if folder.is_relative_to(line.split()[4]):
            yield line


def _content(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return None


def as_toml(files: dict[str, str], links: dict[str, str]) -> str:
    """Return the tree as TOML; JSON strings are TOML strings."""
    lines = ["# Recorded from: (board, kernel, date)", "[files]"]
    lines += [f"{json.dumps(path)} = {json.dumps(text)}" for path, text in files.items()]
    lines += ["", "[links]"]
    lines += [f"{json.dumps(path)} = {json.dumps(aim)}" for path, aim in links.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_toml(*recorded(Path(sys.argv[1]).resolve())))
