"""What the firmware told Linux of this boot, and what it is asked to do at the next one.

A Raspberry Pi says the first in its device tree, and is asked by the reboot parameter, which the
module `poleside_firmware` hands on to it. On a board with UEFI GRUB says it by `edge.slot=` and
`edge.trial=` on the kernel's command line, and is asked by its `trial.env` on the boot choice
partition.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from poleside_image.boot_choice import PARTITION_OF, BootChoiceError
from poleside_image.boot_sector import TrialSector

_TREE = "proc/device-tree/chosen/bootloader"
_FLAGS = "sys/bus/platform/drivers/raspberrypi-firmware/*/reboot_flags"
_REBOOT_PARAMETER = "run/systemd/reboot-param"
_TRYBOOT = "0 tryboot"


@dataclass(frozen=True, slots=True)
class Boot:
    """A boot: its slot, and whether it is a trial."""

    slot: str
    is_trial: bool


class Firmware:
    """The firmware as seen from the running system; `root` is / on a box.

    `trial` is GRUB's sector; a board whose device tree tells of slots has none.
    """

    def __init__(self, root: Path = Path("/"), trial: TrialSector | None = None) -> None:
        self._root = root
        self._parameter = root / _REBOOT_PARAMETER
        self._trial = None if (root / _TREE / "partition").exists() else trial

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

    def starts_trials(self) -> bool:
        """Say whether a restart on trial gets through.

        GRUB has it in a sector. To a Raspberry Pi's firmware it goes through our module, whose file
        can be read only where the firmware has answered that it knows such flags.
        """
        if not (self._root / _TREE / "partition").exists():
            return True
        return any(_is_answered(file) for file in self._root.glob(_FLAGS))

    def arm_trial(self) -> None:
        """Let the next restart, and only it, start the other slot."""
        if self._trial:
            self._trial.write(True)
        else:  # in memory: a power cut disarms
            self._parameter.parent.mkdir(parents=True, exist_ok=True)
            self._parameter.write_text(_TRYBOOT)

    def disarm_trial(self) -> None:
        if self._trial is None:
            self._parameter.unlink(missing_ok=True)
        elif self._trial.read():
            self._trial.write(False)

    def is_armed(self) -> bool:
        if self._trial:
            return self._trial.read()
        try:
            return self._parameter.read_text().strip() == _TRYBOOT
        except OSError:
            return False


def _is_answered(file: Path) -> bool:
    try:
        return int(file.read_text(), 16) >= 0
    except (OSError, ValueError):
        return False


def _number(path: Path) -> int | None:
    """Return a cell of the device tree (big endian), None without it."""
    try:
        return int.from_bytes(path.read_bytes(), "big")
    except OSError:
        return None
