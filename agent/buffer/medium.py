"""Is this the disk that was meant? A missing mount is an alarm, never a write to the root disk.

With `buffer.require_mount` the recordings must lie on a mount point of that path, which carries a
file `.poleside-medium` with an id made at its first use. The box remembers that id by itself
(`agent.buffer.claim`); `buffer.medium_id` pins another. A service whose data lies on a disk of its
own does so without the setting; else any folder will do. Either way a read-only disk is none, and a
worker notices when another file system takes the place of the one it started on.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from agent.buffer import claim
from agent.core import inodes
from agent.core.errors import StorageError
from agent.settings.model import BufferSettings

ID_FILE = ".poleside-medium"
WRONG = "storage.wrong_medium"


def require_medium(folder: Path, settings: BufferSettings) -> str | None:
    """Return the id of the disk under `folder`, made when it is new; None when any disk will do.

    `folder` need not exist yet; nothing is written unless the right disk is there. Raises
    `StorageError` storage.wrong_medium.
    """
    book = claim.book_of(settings)
    known = claim.find(book, folder) if book else None
    told = settings.require_mount or (known.mount if known else _disk_of_its_own(folder))
    if not told:
        require_writable(folder)
        return None
    mount = Path(told)
    if not mount.is_mount():
        raise _wrong(f"no disk is mounted at {mount}")
    if _device_of(folder) != mount.stat().st_dev:
        raise _wrong(f"{folder} does not lie on the disk at {mount}")
    require_writable(mount)
    claimed = known.medium_id if known and known.mount == told else ""
    medium_id, wanted = read_id(mount), settings.medium_id or claimed
    if medium_id is None:
        if wanted:
            raise _wrong(f"the disk at {mount} carries no id", _forget_hint(book, told))
        medium_id = _make_id(mount)
    if wanted not in ("", medium_id):
        why = f"the disk at {mount} is {medium_id}, not {wanted}"
        raise _wrong(why, _forget_hint(book, told))
    if book and claimed != medium_id:
        claim.make(book, claim.Claim(told, medium_id))
    return medium_id


def is_foreign(
    data_dir: Path, settings: BufferSettings, of_service: Path = claim.SERVICE_BOOK
) -> bool:
    """Return whether the disk with a box's data is another than its own. Nothing is written."""
    return bool(foreign_mount(data_dir, settings, of_service))


def foreign_mount(
    data_dir: Path, settings: BufferSettings | None, of_service: Path = claim.SERVICE_BOOK
) -> str:
    """Return where the disk is mounted that holds a box's data and is not its own, else "".

    `settings`: None where the file can't be read, then what the box remembers alone tells.
    """
    known = claim.found_beside(data_dir, settings, of_service)
    told = settings.require_mount if settings else ""
    if told and not data_dir.is_relative_to(told):
        return ""  # only the recordings lie on that disk
    told = told or (known.mount if known else _disk_of_its_own(data_dir))
    if not told:
        return ""
    pinned = settings.medium_id if settings else ""
    wanted = pinned or (known.medium_id if known and known.mount == told else "")
    is_another = bool(wanted) and Path(told).is_mount() and read_id(Path(told)) != wanted
    return told if is_another else ""


def require_writable(folder: Path) -> None:
    """Raise `StorageError` storage.wrong_medium when the disk under `folder` is read-only."""
    if is_read_only(folder):
        raise _wrong(f"the disk under {folder} is mounted read-only")


def require_openable(database: Path) -> None:
    """Raise `StorageError` storage.wrong_medium when no inode is left to open `database` with."""
    if not inodes.can_open(database):
        raise _wrong(f"the disk under {database.parent} takes no further file (it has no inodes)")


def is_read_only(folder: Path) -> bool:
    """Return whether the file system of `folder`, or of what exists of its parents, is read-only.

    The kernel makes it so after an error of the disk, and a damaged one is mounted so.
    """
    for place in (folder, *folder.parents):
        try:
            return bool(os.statvfs(place).f_flag & os.ST_RDONLY)
        except FileNotFoundError:
            continue
        except OSError:  # the disk has gone: others tell
            return False
    return False


def _disk_of_its_own(folder: Path) -> str:
    """Return where the disk is mounted that a service's data lies on, empty for the box's own."""
    book = claim.service_book()
    if book is None or not book.exists() or _device_of(folder) == book.stat().st_dev:
        return ""
    place = folder
    while not place.exists():
        place = place.parent
    return str(mount_of(place))


def _forget_hint(book: Path | None, mount: str) -> str:
    if book is None:
        return ""
    return f" To take this disk as the box's own, delete {claim.file_of(book, mount)}."


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


def _wrong(why: str, hint: str = "") -> StorageError:
    return StorageError(
        WRONG,
        f"Recordings have no disk to go to: {why}.",
        hint="Check the disk and its cable; mount it, or correct `buffer.require_mount`." + hint,
        retryable=True,
    )
