"""Sticks that are mounted here, and whether a folder may be written to as one.

A stick is what the kernel calls removable or reaches over USB, or what carries a label that begins
with POLESIDE. Who mounts it is the system's business; the agent itself never formats or mounts.
Our own image mounts one when it is asked (`borrow`), so there also those that wait are listed.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.core.errors import PolesideError

LABEL: Final = "POLESIDE"
KINDS: Final = ("vfat", "exfat")
_SECTOR_BYTES: Final = 512
_SPARE_BYTES: Final = 4 * 1024 * 1024


class UsbError(PolesideError):
    """A stick can't be used; nothing was written."""


@dataclass(frozen=True, slots=True)
class Stick:
    """`mount` is empty, and nobody knows what is free, while it waits to be asked for."""

    mount: str
    label: str
    device: str
    free_bytes: int | None
    total_bytes: int
    is_read_only: bool

    @property
    def place(self) -> str:
        """What to call it by: where it is mounted, else its device."""
        return self.mount or self.device


def sticks(root: Path = Path("/")) -> list[Stick]:
    """Return the mounted sticks; `root` holds another machine's /proc and /sys."""
    found = []
    with suppress(OSError):
        for line in (root / "proc/self/mountinfo").read_text("utf-8").splitlines():
            stick = _stick(line, root)
            if stick is not None:
                found.append(stick)
    return found


def waiting(root: Path = Path("/")) -> list[Stick]:
    """Return the FAT and exFAT sticks that nobody has mounted: udev(7) knows what is on them."""
    blocks = root / "sys/class/block"
    taken = {_disk(blocks / Path(stick.device).name) for stick in sticks(root)}
    found = []
    for place in sorted(blocks.glob("*")):
        with suppress(OSError, ValueError):
            facts = _udev_facts(place, root)
            label, kind = facts.get("ID_FS_LABEL", ""), facts.get("ID_FS_TYPE")
            is_free = label != LABEL and _disk(place) not in taken
            if kind in KINDS and is_free and _is_usb(place, root):
                size = int((place / "size").read_text("ascii")) * _SECTOR_BYTES
                found.append(Stick("", label, f"/dev/{place.name}", None, size, False))
    return found


def check(folder: Path, data_dir: Path, needed_bytes: int) -> int:
    """Return the free bytes of a folder that may be written to. Raises `UsbError`.

    The disk of the system and that of the recordings are no sticks.
    """
    if not folder.is_dir():
        raise UsbError("usb.none", f"There is no folder {folder}.", hint="Plug a stick in.")
    device = folder.stat().st_dev
    for mine in (Path("/"), data_dir):
        if mine.exists() and mine.stat().st_dev == device:
            raise UsbError(
                "usb.own_disk",
                f"{folder} is on a disk of the box itself.",
                hint="Give the folder where a stick is mounted: `poleside usb list`.",
            )
    facts = os.statvfs(folder)
    if facts.f_flag & os.ST_RDONLY or not os.access(folder, os.W_OK):
        raise UsbError(
            "usb.read_only", f"{folder} can't be written.", hint="Take another stick, or its lock."
        )
    free = facts.f_bavail * facts.f_frsize
    if free < needed_bytes + _SPARE_BYTES:
        raise UsbError(
            "usb.full",
            f"{free / 1e6:.0f} MB are free, {needed_bytes / 1e6:.0f} MB are needed.",
            hint="Take another stick, or a shorter time.",
        )
    return free


def _stick(line: str, root: Path) -> Stick | None:
    """Read a line of mountinfo (proc(5)); None when it is no stick's."""
    before, _, after = line.partition(" - ")
    fields, (_, source, _) = before.split(), after.split(maxsplit=2)
    mount = fields[4].replace("\\040", " ")
    if not source.startswith("/dev/") or mount == "/":
        return None
    name, label = Path(source).name, _label(source, root)
    if not (label.startswith(LABEL) or _is_removable(name, root)):
        return None
    with suppress(OSError):
        facts = os.statvfs(mount)
        return Stick(
            mount=mount,
            label=label,
            device=source,
            free_bytes=facts.f_bavail * facts.f_frsize,
            total_bytes=facts.f_blocks * facts.f_frsize,
            is_read_only=bool(facts.f_flag & os.ST_RDONLY),
        )
    return None


def _label(source: str, root: Path) -> str:
    with suppress(OSError):
        for link in (root / "dev/disk/by-label").iterdir():
            if link.readlink().name == Path(source).name:
                return link.name
    return ""


def _is_removable(name: str, root: Path) -> bool:
    """Ask sysfs of the disk, for a partition its parent's."""
    place = root / "sys/class/block" / name
    with suppress(OSError):
        if _is_usb(place, root):
            return True
        real = place.resolve(strict=True)
        disk = real if (real / "removable").exists() else real.parent
        return (disk / "removable").read_text("ascii").strip() == "1"
    return False


def _disk(place: Path) -> Path:
    real = place.resolve()
    return real.parent if (real / "partition").exists() else real


def _is_usb(place: Path, root: Path) -> bool:
    return "/usb" in str(place.resolve(strict=True).relative_to(root.resolve()))


def _udev_facts(place: Path, root: Path) -> dict[str, str]:
    """Return what udev has read of a file system. Raises `OSError`."""
    numbers = (place / "dev").read_text("ascii").strip()
    text = (root / f"run/udev/data/b{numbers}").read_text("utf-8", "replace")
    lines = (line[2:].partition("=") for line in text.splitlines() if line.startswith("E:"))
    return {name: value for name, _, value in lines}
