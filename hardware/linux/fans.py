"""Fans of /sys/class/hwmon: what they turn, and what they are told."""

from pathlib import Path

from hardware.interface import FanState
from hardware.linux.believable import believable_rpm
from hardware.linux.files import read_int, read_text

_PWM_FULL = 255  # kernel: Documentation/hwmon/sysfs-interface, pwm[1-*]


class HwmonFans:
    """Every fan and fan output of every sensor chip."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "sys/class/hwmon"

    def read(self) -> tuple[FanState, ...]:
        return tuple(fan for chip in sorted(self._folder.glob("hwmon*")) for fan in _fans(chip))


def _fans(chip: Path) -> list[FanState]:
    name = read_text(chip / "name") or chip.name
    numbers = sorted(
        {file.name.removeprefix("fan").removesuffix("_input") for file in chip.glob("fan*_input")}
        | {file.name.removeprefix("pwm") for file in chip.glob("pwm[0-9]")}
    )
    found = [
        FanState(f"{name}/{number}", _rpm(chip / f"fan{number}_input"), _duty_pct(chip, number))
        for number in numbers
    ]
    rpm = _rpm(chip / "rpm")  # NVIDIA's tachometer driver, pwm-tach
    return [*found, FanState(name, rpm)] if rpm is not None else found


def _rpm(file: Path) -> int | None:
    return believable_rpm(read_int(file))


def _duty_pct(chip: Path, number: str) -> int | None:
    duty = read_int(chip / f"pwm{number}")
    return None if duty is None else round(100 * duty / _PWM_FULL)
