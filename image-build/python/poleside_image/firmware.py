"""What the firmware told Linux of this boot, and what it is asked to do at the next one.

A Raspberry Pi says both in its device tree; `edge.slot=` and `edge.trial=` on the kernel's command
line stand in for it on machines whose firmware knows nothing of slots.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from poleside_image.boot_choice import PARTITION_OF, BootChoiceError

_TREE = "proc/device-tree/chosen/bootloader"
_REBOOT_PARAMETER = "run/systemd/reboot-param"
_TRYBOOT = "0 tryboot"


@dataclass(frozen=True, slots=True)
class Boot:
    """A boot: its slot, and whether it is a trial."""

    slot: str
    is_trial: bool


class Firmware:
    """The firmware as seen from the running system; `root` is / on a box."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._parameter = root / _REBOOT_PARAMETER

    def this_boot(self) -> Boot:
        """Return what runs. Raises `BootChoiceError` when nothing tells: change nothing then."""
        partition = _number(self._root / _TREE / "partition")
        for slot, number in PARTITION_OF.items():
            if number == partition:
                return Boot(slot, bool(_number(self._root / _TREE / "tryboot")))
        words = (self._root / "proc/cmdline").read_text("ascii", "replace")
        if found := re.search(r"(?:^|\s)edge\.slot=([ab])(?:\s|$)", words):
            return Boot(found[1], bool(re.search(r"(?:^|\s)edge\.trial=1(?:\s|$)", words)))
        raise BootChoiceError("neither the device tree nor the command line tells which slot runs")

    def arm_trial(self) -> None:
        """Let the next restart, and only it, start the other slot. In memory: a cut disarms."""
        self._parameter.parent.mkdir(parents=True, exist_ok=True)
        self._parameter.write_text(_TRYBOOT)

    def disarm_trial(self) -> None:
        self._parameter.unlink(missing_ok=True)

    def is_armed(self) -> bool:
        try:
            return self._parameter.read_text().strip() == _TRYBOOT
        except OSError:
            return False


def _number(path: Path) -> int | None:
    """Return a cell of the device tree (big endian), None without it."""
    try:
        return int.from_bytes(path.read_bytes(), "big")
    except OSError:
        return None
