"""What the firmware says of the board, in /proc/device-tree (absent on x86)."""

from pathlib import Path

from hardware.linux.files import read_text

_TREE = "proc/device-tree"


def model(root: Path) -> str | None:
    """Return for example "Raspberry Pi 4 Model B Rev 1.4"."""
    return read_text(root / _TREE / "model")


def serial(root: Path) -> str | None:
    return read_text(root / _TREE / "serial-number")


def compatible(root: Path) -> tuple[str, ...]:
    """Return the names of the board and its chip, most special first."""
    text = read_text(root / _TREE / "compatible")
    return tuple(text.split("\0")) if text else ()
