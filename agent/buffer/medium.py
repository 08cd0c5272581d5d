"""Is this the disk that was meant? A missing mount is an alarm, never a write to the root disk.

With `buffer.require_mount` the recordings must lie on a mount point of that path, which carries a
file `.poleside-medium` with an id made at its first use; `buffer.medium_id` pins the id. Without
the setting any folder will do. Either way a worker notices when another file system takes the
place of the one it started on.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from agent.core.errors import StorageError
from agent.settings.model import BufferSettings

ID_FILE = ".poleside-medium"
WRONG = "storage.wrong_medium"


def require_medium(folder: Path, settings: BufferSettings) -> str | None:
    """Return the id of the disk under `folder`, made when it is new; None when any disk will do.

    `folder` need not exist yet; nothing is written unless the right disk is there. Raises
    `StorageError` storage.wrong_medium.
    """
    if not settings.require_mount:
        return None
    mount = Path(settings.require_mount)
    if not mount.is_mount():
        raise _wrong(f"no disk is mounted at {mount}")
    if _device_of(folder) != mount.stat().st_dev:
        raise _wrong(f"{folder} does not lie on the disk at {mount}")
    medium_id = read_id(mount)
    if medium_id is None:
        if settings.medium_id:
            raise _wrong(f"the disk at {mount} carries no id")
        medium_id = _make_id(mount)
    if settings.medium_id not in ("", medium_id):
        raise _wrong(f"the disk at {mount} is {medium_id}, not {settings.medium_id}")
    return medium_id


def read_id(mount: Path) -> str | None:
    """Return the id a disk carries, None when it has none."""
    try:
        return (mount / ID_FILE).read_text("ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def mount_of(folder: Path) -> Path:
    """Return the mount point that `folder` lies on."""
    place = folder.resolve()
    while not place.is_mount():
        place = place.parent
    return place


class SameDisk:
    """Remembers the file system a worker started on; `check` is one `stat`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._device = folder.stat().st_dev
        self.is_gone = False

    def check(self) -> None:
        """Raise `StorageError` storage.wrong_medium when another one is in its place."""
        try:
            self.is_gone = self._folder.stat().st_dev != self._device
        except FileNotFoundError:
            self.is_gone = True
        if self.is_gone:
            raise _wrong(f"the disk under {self._folder} has gone")


def _device_of(folder: Path) -> int:
    """Return the device of `folder` or of what exists of its parents."""
    place = folder
    while not place.exists():
        place = place.parent
    return place.stat().st_dev


def _make_id(mount: Path) -> str:
    """Write a new id; of several workers that come at once, the first one's stays."""
    path = mount / ID_FILE
    medium_id = secrets.token_hex(8)
    try:
        with suppress(FileExistsError):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            try:
                os.write(handle, f"{medium_id}\n".encode())
                os.fsync(handle)
            finally:
                os.close(handle)
    except OSError as error:
        raise _wrong(f"the disk at {mount} can't be marked: {error.strerror}") from error
    return read_id(mount) or medium_id


def _wrong(why: str) -> StorageError:
    return StorageError(
        WRONG,
        f"Recordings have no disk to go to: {why}.",
        hint="Check the disk and its cable; mount it, or correct `buffer.require_mount`.",
        retryable=True,
    )
