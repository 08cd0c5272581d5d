"""Sensors of /sys/class/hwmon, by the name of their chip: hwmon numbers move too."""

from pathlib import Path

from hardware.interface import Rail
from hardware.linux.believable import believable_volts
from hardware.linux.files import read_int, read_scaled, read_text

_MILLI = 0.001


def chips(root: Path, name: str) -> tuple[Path, ...]:
    """Return the folders of all chips called `name`."""
    folders = sorted((root / "sys/class/hwmon").glob("hwmon*"))
    return tuple(folder for folder in folders if read_text(folder / "name") == name)


def rails(chip: Path) -> tuple[Rail, ...]:
    """Return the labelled supply lines of one chip (kernel: Documentation/hwmon/ina3221)."""
    found = []
    for label in sorted(chip.glob("in*_label")):
        number = label.name.removeprefix("in").removesuffix("_label")
        volts = believable_volts(read_scaled(chip / f"in{number}_input", _MILLI))
        amps = read_scaled(chip / f"curr{number}_input", _MILLI)
        alarm = read_int(chip / f"curr{number}_crit_alarm")
        over_current = None if alarm is None else alarm != 0
        found.append(Rail(read_text(label) or label.name, volts, amps, over_current))
    return tuple(found)
