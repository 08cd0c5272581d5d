"""Find out which board this is, from the device tree the firmware hands to Linux.

Chosen when asked, never at import time, and from any `root`, so that a recorded tree is a board.
"""

from pathlib import Path

from hardware.boards import generic_linux, jetson, raspberry_pi, simulated
from hardware.interface import Board
from hardware.linux import device_tree

_BUILDERS = (
    # what the device tree's `compatible` list must hold, and who builds that board
    ("raspberrypi,", raspberry_pi.build),
    ("nvidia,tegra", jetson.build),
)


def pick_board(
    root: Path = Path("/"), kind: str = "auto", lines_folder: Path | None = None
) -> Board:
    """Return the board under `root`. `kind="simulated"` returns the one for the demo.

    `lines_folder` holds the simulated board's digital lines. Raises `ValueError` for any other
    `kind`: a board is recognised, not chosen by hand.
    """
    if kind == "simulated":
        return simulated.build(lines_folder=lines_folder)
    if kind != "auto":
        raise ValueError(f"board kind must be `auto` or `simulated`, not `{kind}`")
    names = device_tree.compatible(root)
    for prefix, build in _BUILDERS:
        if any(name.startswith(prefix) for name in names):
            return build(root)
    return generic_linux.build(root)
