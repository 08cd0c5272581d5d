"""Temperatures of /sys/class/thermal, by type: zone numbers move between boots and kernels.

A PC's processor may have no thermal zone (AMD's has none): then its sensor chip tells.
"""

from collections.abc import Iterator
from pathlib import Path

from hardware.interface import Temperature
from hardware.linux import hwmon
from hardware.linux.believable import believable
from hardware.linux.files import read_scaled, read_text

_MILLI = 0.001
# Drivers of processors' own sensors; their first value is the package's, or the control value.
_PROCESSORS = ("coretemp", "k10temp", "zenpower")


class ThermalZones:
    """Every thermal zone of the kernel, and a PC's processors.

    `slows_c`: where the maker says that the board slows itself. `sleepers`: how the names of zones
    begin whose part is switched off now and then, in small letters.
    """

    def __init__(
        self, root: Path, slows_c: float | None = None, sleepers: tuple[str, ...] = ()
    ) -> None:
        self._root, self._folder, self._slows_c = root, root / "sys/class/thermal", slows_c
        self._sleepers = sleepers

    def read(self) -> tuple[Temperature, ...]:
        found = [self._temperature(zone) for zone in self._folder.glob("thermal_zone*")]
        found += _processors(self._root)
        return tuple(sorted(found, key=lambda reading: reading.name))

    def _temperature(self, zone: Path) -> Temperature:
        name = read_text(zone / "type") or zone.name
        celsius = believable(read_scaled(zone / "temp", _MILLI))
        may_sleep = name.lower().startswith(self._sleepers)
        return Temperature(name, celsius, _critical_c(zone), self._slows_c, may_sleep)


def _processors(root: Path) -> Iterator[Temperature]:
    for driver in _PROCESSORS:
        for chip in hwmon.chips(root, driver):
            name = read_text(chip / "temp1_label") or "temp1"
            celsius = believable(read_scaled(chip / "temp1_input", _MILLI))
            yield Temperature(f"{driver}/{name}", celsius, read_scaled(chip / "temp1_crit", _MILLI))


def _critical_c(zone: Path) -> float | None:
    for kind in sorted(zone.glob("trip_point_*_type")):
        if read_text(kind) == "critical":
            return read_scaled(kind.with_name(kind.name.replace("_type", "_temp")), _MILLI)
    return None
