"""Whose disk this is, and taking it for the box's own. Light enough for the core: no libav."""

from contextlib import suppress
from pathlib import Path

from agent.buffer import claim
from agent.buffer.medium import read_id
from agent.core.errors import PolesideError
from agent.enrol.identity import IdentityFiles
from agent.settings import history
from agent.settings.model import BufferSettings


def accept_disk(
    data_dir: Path, settings: BufferSettings, of_service: Path = claim.SERVICE_BOOK
) -> bool:
    """Let this box take the disk under `data_dir` for its own; say whether it knew another.

    The command line is not in the service's surroundings: `of_service` is where that remembers.
    """
    is_another = False
    for book in (claim.book_of(settings), of_service):
        known = claim.find(book, data_dir) if book else None
        if book and known and known.medium_id != read_id(Path(known.mount)):
            claim.file_of(book, known.mount).unlink(missing_ok=True)
            is_another = True
    return is_another


def place_of(data_dir: Path) -> str:
    """Return SITE/BOX by the disk's identity, else by its last settings; "" for a new one."""
    with suppress(PolesideError):
        identity = IdentityFiles.in_data_dir(data_dir).read()
        if identity is not None:
            return f"{identity.site}/{identity.box}"
        versions = history.versions(data_dir)
        if versions:
            settings = versions[-1].settings()
            return f"{settings.site}/{settings.box}"
    return ""
