"""NVIDIA Jetson: supply rails and over-current from its INA3221 sensor chips, clocks and GPU load.

Sysfs is read directly: no root daemon, no text of `tegrastats`.
"""

import re
from dataclasses import replace
from pathlib import Path

from hardware.boards import generic_linux
from hardware.interface import Board, BoardKind, PowerState
from hardware.linux import hwmon, throttling
from hardware.linux.files import read_int, read_text
from hardware.linux.tegra_gpu import TegraClocks
from hardware.linux.thermal import ThermalZones

# The lowest of the modules' software throttling points (NVIDIA, thermal design guides: 97 to 99).
SLOWS_C = 97.0
SLEEPERS = ("gpu", "cv")  # the GPU and the vision engines: -256 °C, or refused, while they are off


def build(root: Path) -> Board:
    """Return the Jetson under `root`."""
    board = generic_linux.build(root)
    identity = replace(board.identity, kind=BoardKind.JETSON)
    heat = ThermalZones(root, SLOWS_C, SLEEPERS)
    return replace(
        board,
        identity=identity,
        power=JetsonPower(root),
        thermometers=heat,
        processors=TegraClocks(root),
    )


class JetsonPower:
    """Rails, the power mode, and what holds the processor back: heat now, over-current before.

    There is no under-voltage flag in sysfs, so that stays unknown.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self) -> PowerState:
        chips = hwmon.chips(self._root, "ina3221")
        return PowerState(
            throttled=throttling.held_back(self._root),
            throttled_before=_over_current_before(self._root),
            rails=tuple(rail for chip in chips for rail in hwmon.rails(chip)),
            mode=_power_mode(self._root),
            source="hwmon ina3221" if chips else None,
        )


def _over_current_before(root: Path) -> bool | None:
    """Return whether the over-current guard has slowed the board since the boot.

    NVIDIA, Jetson Linux Developer Guide, "Over-Current Event Status": oc*_event_cnt.
    """
    counts = [
        read_int(counter)
        for chip in hwmon.chips(root, "soctherm_oc")
        for counter in sorted(chip.glob("oc*_event_cnt"))
    ]
    known = [count for count in counts if count is not None]
    return any(count > 0 for count in known) if known else None


def _power_mode(root: Path) -> str | None:
    """Return the name of the mode that nvpmodel has set, else its number."""
    found = re.search(r"pmode:(\d+)", read_text(root / "var/lib/nvpmodel/status") or "")
    if found is None:
        return None
    number = int(found[1])
    names = read_text(root / "etc/nvpmodel.conf") or ""
    named = re.search(rf"POWER_MODEL\s+ID={number}\s+NAME=(\S+?)\s*>", names)
    return named[1] if named else str(number)
