"""A disk that this box does not know, taken for its own at the page: the way on after a swap.

While it is refused the core works in memory (`core_disk`); once taken, the core begins anew on it.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.app.disk_owner import accept_disk, place_of
from agent.app.run_dir import WITHOUT_DISK
from agent.buffer import claim
from agent.buffer.medium import is_read_only, read_id
from agent.contract.audit import AuditEntry
from agent.core.clock import Clock
from agent.local.service.pages import RefusedDisk
from agent.outbox.spool import spool
from agent.settings.load import data_dir_of
from agent.settings.model import Settings

_MOST_CAMERAS = 32


class ForeignDisk:
    """`settings` as the core works with them, `table` as they came."""

    def __init__(self, settings: Settings, table: dict[str, Any], clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._folder = Path(table.get("data_dir") or settings.data_dir)

    def facts(self) -> RefusedDisk | None:
        """Return what the refused disk holds; None when there is none, or it is not refused."""
        if data_dir_of(self._settings).name != WITHOUT_DISK or is_read_only(self._folder):
            return None
        book = claim.book_of(self._settings.buffer)
        known = claim.find(book, self._folder) if book else None
        if known is None or not Path(known.mount).is_mount():
            return None
        if self._settings.buffer.medium_id or read_id(Path(known.mount)) == known.medium_id:
            return None  # the file pins another, or it is not the id that is wrong
        with suppress(OSError, ValueError):  # whatever lies on a stranger's disk
            cameras = sorted(path.name for path in (self._folder / "cameras").glob("*"))
            return RefusedDisk(place_of(self._folder), tuple(cameras[:_MOST_CAMERAS]))
        return RefusedDisk("", ())

    def take(self, by: str) -> bool:
        """Take it for the box's own; the disk's own chain will tell of it. Raises `OSError`."""
        facts = self.facts()
        if facts is None or not accept_disk(self._folder, self._settings.buffer):
            return False
        detail = f"the disk of {facts.place or 'a box without a name'}"
        entry = AuditEntry(
            command_id="", op="box.disk_taken", actor=by, outcome="done", detail=detail
        )
        spool(self._folder, entry, self._clock)
        return True
