"""Whose signatures count as the box's own: its key, and those that handed over to it."""

from collections.abc import Callable
from pathlib import Path

from agent.core.errors import StorageError
from agent.evidence.box_key import load_public_key
from agent.evidence.handover import predecessors, read_handovers
from agent.evidence.key_store import PUBLIC_FILE


def verifier_of(data_dir: Path) -> Callable[[bytes, bytes], bool] | None:
    """Return what says whether a signature (first) is this box's of the bytes (second).

    None where the box's public key is not there or can't be read: then nobody can tell.
    """
    try:
        key = load_public_key(data_dir / "keys" / PUBLIC_FILE)
    except (OSError, StorageError):
        return None
    known = [one.key for one in predecessors(key, read_handovers(data_dir)).values()]

    def verifies(signature: bytes, body: bytes) -> bool:
        return any(key.verifies(signature, body) for key in known)

    return verifies
