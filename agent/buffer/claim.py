"""Which disk a box took as its own: remembered off that disk, so that it is missed when it goes.

A small file in a folder on the box's own file system: systemd's second `StateDirectory=`, else the
user's state folder for a disk that the settings name. Claimed once, at the first start with it.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent.core import log
from agent.settings.model import BufferSettings

SERVICE_BOOK = Path("/var/lib/poleside-medium")  # `StateDirectory=` of the unit


@dataclass(frozen=True, slots=True)
class Claim:
    """The disk mounted at `mount`, by the id it carries."""

    mount: str
    medium_id: str


def book_of(settings: BufferSettings) -> Path | None:
    """Return the folder of the claims; None where nothing is remembered."""
    if service := service_book():
        return service
    return _users_book() if settings.require_mount else None


def found_beside(
    folder: Path, settings: BufferSettings | None, of_service: Path = SERVICE_BOOK
) -> Claim | None:
    """Return the claim on the disk of `folder`, asked from outside of the service, too.

    `settings`: None where they can't be read, and so may have told of a disk.
    """
    books = (book_of(settings) if settings else service_book() or _users_book(), of_service)
    found = (find(book, folder) for book in books if book)
    return next((claim for claim in found if claim), None)


def _users_book() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "poleside"


def service_book() -> Path | None:
    """Return the folder that systemd gives a service for this, None outside of one."""
    folders = os.environ.get("STATE_DIRECTORY", "").split(":")
    return Path(folders[1]) if len(folders) > 1 else None


def find(book: Path, folder: Path) -> Claim | None:
    """Return the claim on the disk that `folder` should lie on."""
    for file in sorted(book.glob("medium-*.json")):
        try:
            claim = msgspec.json.decode(file.read_bytes(), type=Claim)
        except (OSError, msgspec.MsgspecError) as error:
            log.get("buffer.claim").error("not readable", file=str(file), detail=str(error))
            continue
        if folder.is_relative_to(claim.mount):
            return claim
    return None


def make(book: Path, claim: Claim) -> None:
    """Remember `claim`, for good. A disk is not remembered on itself."""
    path = file_of(book, claim.mount)
    try:
        book.mkdir(mode=0o700, parents=True, exist_ok=True)
        if book.stat().st_dev == Path(claim.mount).stat().st_dev:
            return
        scratch = path.with_suffix(f".{os.getpid()}")
        with scratch.open("wb") as file:
            file.write(msgspec.json.encode(claim))
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        log.get("buffer.claim").warning("disk not remembered", detail=str(error))


def file_of(book: Path, mount: str) -> Path:
    """Return the file that holds the claim on a mount point's disk."""
    return book / f"medium-{hashlib.sha256(mount.encode()).hexdigest()[:12]}.json"
