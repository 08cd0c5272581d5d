"""Find and write the one sector of `autoboot.txt` on the unmounted boot choice partition.

Through a mounted file system a change touches three sectors (data, folder, dirty flag) and leaves
moments between them. Here it is the data sector alone, in place, flushed before anybody is told.
"""

import os
import struct
from pathlib import Path

from poleside_image.boot_choice import (
    SECTOR_BYTES,
    BootChoice,
    BootChoiceError,
    from_sector,
    to_sector,
)

NAME = b"AUTOBOOTTXT"
TRIAL_NAME, TRIAL_BYTES = b"TRIAL   ENV", 1024  # GRUB's, beside it on a board with UEFI
_TRIAL = b"# GRUB Environment Block\ntrial=%d\n"
_ENTRY_BYTES = 32


def offset_of(partition: Path, name: bytes = NAME, size_bytes: int = SECTOR_BYTES) -> int:
    """Return where the data of a file begins, in bytes (FAT16, as image-build makes it)."""
    with partition.open("rb") as medium:
        boot = medium.read(SECTOR_BYTES)
        if boot[510:512] != b"\x55\xaa" or boot[54:59] != b"FAT16":
            raise BootChoiceError(f"{partition} is no FAT16 file system")
        per_sector, per_cluster, reserved, fats, entries = struct.unpack_from("<HBHBH", boot, 11)
        fat_sectors = struct.unpack_from("<H", boot, 22)[0]
        root = (reserved + fats * fat_sectors) * per_sector
        medium.seek(root)
        folder = medium.read(entries * _ENTRY_BYTES)
    for start in range(0, len(folder), _ENTRY_BYTES):
        entry = folder[start : start + _ENTRY_BYTES]
        if entry[:11] == name:
            cluster, size = struct.unpack_from("<HI", entry, 26)
            if size != size_bytes or cluster < 2:
                raise BootChoiceError(f"{name.decode()} on {partition} has not its length")
            data: int = root + len(folder) + (cluster - 2) * per_cluster * per_sector
            return data
    raise BootChoiceError(f"{partition} has no {name.decode()}")


def _write(partition: Path, sector: bytes, offset: int) -> None:
    medium = os.open(partition, os.O_WRONLY | os.O_CLOEXEC)
    try:
        if os.pwrite(medium, sector, offset) != SECTOR_BYTES:
            raise BootChoiceError(f"{partition} took only a part of the sector")
        os.fsync(medium)
    finally:
        os.close(medium)


class BootSector:
    """The choice on one partition, a block device or an image of one."""

    def __init__(self, partition: Path) -> None:
        self._partition = partition

    def read(self) -> BootChoice:
        """Return the choice on the medium. Raises `BootChoiceError` or `OSError`."""
        offset = offset_of(self._partition)
        with self._partition.open("rb") as medium:
            medium.seek(offset)
            return from_sector(medium.read(SECTOR_BYTES))

    def write(self, choice: BootChoice) -> None:
        """Put the choice on the medium, in one sector; returns when it is there."""
        _write(self._partition, to_sector(choice), offset_of(self._partition))


class TrialSector:
    """Whether GRUB is to start the other slot once: the first sector of its `trial.env`.

    GRUB takes the word back before it obeys it. It outlives a power cut, unlike a Pi's.
    """

    def __init__(self, partition: Path) -> None:
        self._partition = partition

    def read(self) -> bool:
        """Return whether it is armed. Raises `BootChoiceError` or `OSError`."""
        with self._partition.open("rb") as medium:
            medium.seek(offset_of(self._partition, TRIAL_NAME, TRIAL_BYTES))
            return medium.read(SECTOR_BYTES).startswith(_TRIAL % 1)

    def write(self, armed: bool) -> None:
        """Arm or disarm; returns when it is on the medium."""
        offset = offset_of(self._partition, TRIAL_NAME, TRIAL_BYTES)
        _write(self._partition, (_TRIAL % armed).ljust(SECTOR_BYTES, b"#"), offset)
