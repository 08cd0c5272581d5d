"""Small JSON files on `data` that a power cut leaves old or new, never torn."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MOST_BYTES = 65_536


def read(path: Path) -> dict[str, Any]:
    """Return the object in the file, empty when there is none or it can't be understood.

    Follows no link and reads no more than a small file: the agent may be taken over.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return {}
    with os.fdopen(file, "rb") as stream:
        try:
            found = json.loads(stream.read(MOST_BYTES))
        except (OSError, ValueError):
            return {}
    return found if isinstance(found, dict) else {}


def write(path: Path, content: Mapping[str, Any], mode: int = 0o644) -> None:
    """Write it whole; the agent, which is another user, reads it whatever the unit's umask is."""
    scratch = path.with_name(f".{path.name}.new")
    scratch.unlink(missing_ok=True)
    file = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(file, "w") as stream:
        os.fchmod(file, mode)
        json.dump(content, stream)
        stream.flush()
        os.fsync(stream.fileno())
    scratch.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
