"""A bundle from a stick: copied whole into the box's folder, and ordered there by hand."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent.contract.updates import UpdateStage
from agent.core.whole_file import write_whole
from agent.updates.job import LOCAL_ORDER, Job, LocalOrder

_LEFT_FREE_BYTES = 256 * 1024 * 1024  # recording goes on


def sha256_of(bundle: Path) -> str:
    """Return the SHA-256 of a bundle, hexadecimal. Raises `OSError`."""
    with bundle.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def has_room(folder: Path, size_bytes: int) -> bool:
    """Say whether the disk would still have room to record beside the bundle."""
    return shutil.disk_usage(folder).free > size_bytes + _LEFT_FREE_BYTES


def bring(bundle: Path, folder: Path, told: LocalOrder, tell: Callable[[int], None]) -> None:
    """Copy a bundle whole or not at all, then leave the order. Raises `OSError`."""
    job = Job(id=told.id, by=told.by, order=told.order, stage=UpdateStage.READY)
    _make(folder)
    scratch = folder / f"{job.bundle_name}.part"
    try:
        with bundle.open("rb") as old, scratch.open("wb") as new:
            while chunk := old.read(1024 * 1024):
                tell(new.write(chunk))
            new.flush()
            os.fsync(new.fileno())
        scratch.replace(folder / job.bundle_name)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    leave(folder, told)


def leave(folder: Path, told: LocalOrder) -> None:
    """Leave an order for the agent, which looks every few seconds. Raises `OSError`."""
    _make(folder)
    write_whole(folder / LOCAL_ORDER, msgspec.json.encode(told))  # nobody else enters the folder


def _make(folder: Path) -> None:
    """Make the folder the agent's own, also when root is who has the stick."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.geteuid() == 0:
        owner = folder.parent.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)
