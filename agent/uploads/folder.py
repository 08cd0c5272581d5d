"""The folder of files for the center: on the disk before they are promised, gone when sent."""

import os
from pathlib import Path


def put_on_the_disk(path: Path) -> None:
    """See that a file outlives a power cut before anything is promised of it."""
    for one in (path, path.parent):
        handle = os.open(one, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(folder: Path, needed: frozenset[str]) -> None:
    """Make the folder, and remove what is not among the names `needed`."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in folder.iterdir():
        if path.name not in needed:
            path.unlink(missing_ok=True)
