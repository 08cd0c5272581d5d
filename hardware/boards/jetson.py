"""NVIDIA Jetson: supply rails and over-current from its INA3221 sensor chips.

Sysfs is read directly: no root daemon, no text of `tegrastats`.
"""

from dataclasses import replace
from pathlib import Path

from hardware.boards import generic_linux
from hardware.interface import Board, BoardKind, PowerState
from hardware.linux import hwmon


def build(root: Path) -> Board:
    """Return the Jetson under `root`."""
    board = generic_linux.build(root)
    identity = replace(board.identity, kind=BoardKind.JETSON)
    return replace(board, identity=identity, power=JetsonPower(root))


class JetsonPower:
    """Rails only. There is no under-voltage or throttling flag in sysfs, so these stay unknown."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self) -> PowerState:
        chips = hwmon.chips(self._root, "ina3221")
        if not chips:
            return PowerState()
        rails = tuple(rail for chip in chips for rail in hwmon.rails(chip))
        return PowerState(rails=rails, source="hwmon ina3221")
