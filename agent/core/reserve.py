"""Room that recordings never take, so that the box still hears and answers with its disk full.

The core keeps a file of `size` beside its database and gives it up when the database finds no room.
A recorder begins nothing once less than twice that is free, so what was given up is the core's.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path

SIZE_BYTES = 8 * 1024 * 1024
SHARE = 200  # … but at most a two-hundredth of the disk
HELD_AGAIN_AT = 8  # times the size must be free
RESERVE_FILE = ".reserve"


def size_of(folder: Path) -> int:
    """Return how many bytes are reserved on the disk of `folder`. Raises `OSError`."""
    facts = os.statvfs(folder)
    return min(SIZE_BYTES, facts.f_blocks * facts.f_frsize // SHARE)


def is_short(folder: Path) -> bool:
    """Say whether what is left of the disk is the core's. Raises `OSError`."""
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize < 2 * size_of(folder)


def leave_room(folder: Path) -> None:
    """Raise `OSError` ENOSPC when what is left of the disk is the core's."""
    if is_short(folder):
        raise OSError(errno.ENOSPC, "No space left but the reserve")


class Reserve:
    """The file itself; owned by whoever writes the database beside it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / RESERVE_FILE

    @property
    def is_held(self) -> bool:
        """Whether the room is there to be given up."""
        return self._file.exists()

    def hold(self) -> bool:
        """Take the room where there is plenty; return whether it is held."""
        if self.is_held:
            return True
        with suppress(OSError):
            facts, size = os.statvfs(self._file.parent), size_of(self._file.parent)
            if not size or facts.f_bavail * facts.f_frsize < HELD_AGAIN_AT * size:
                return False
            with self._file.open("xb") as file:
                os.posix_fallocate(file.fileno(), 0, size)
            return True
        return False

    def give_up(self) -> bool:
        """Return the room to the disk; say whether there was any."""
        try:
            self._file.unlink()
        except OSError:
            return False
        return True
