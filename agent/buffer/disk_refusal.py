"""What a disk that refuses means: its code for people, and the cause of the gap."""

from __future__ import annotations

import errno

from agent.core.errors import StorageError

DISK_FULL, DISK_ERROR, DISK_STUCK = "disk-full", "disk-error", "disk-stuck"


def disk_code(error: OSError | StorageError) -> tuple[str, str]:
    """Return (code, cause) of what the disk said."""
    if isinstance(error, OSError):
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    else:
        is_full = error.code == "storage.full"
    return ("storage.full", DISK_FULL) if is_full else ("storage.error", DISK_ERROR)
