"""Where an index is that was made in the place of a lost one on a read-only disk."""

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from agent.buffer.index import INDEX_FILE
from agent.buffer.medium import is_read_only, mount_of, read_id


def index_file_of(folder: Path) -> Path:
    """Return a camera's index, or, of a read-only disk, the one that was made in its place."""
    own = folder / INDEX_FILE
    with suppress(OSError):
        if is_read_only(folder):
            made = place_of(folder) / INDEX_FILE
            if made.exists() and made.parent.parent.stat().st_uid == os.getuid():
                return made
    return own


def place_of(folder: Path) -> Path:
    """Return the folder for the index of a camera on a read-only disk; another for every disk."""
    real = folder.resolve()
    facts = real.stat()
    said = (str(real), read_id(mount_of(real)), facts.st_dev, facts.st_ino, facts.st_mtime_ns)
    name = hashlib.sha256(repr(said).encode()).hexdigest()[:24]
    return Path(tempfile.gettempdir()) / f"poleside-rebuilt-{os.getuid()}" / name
