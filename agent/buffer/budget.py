"""How much a camera's worker writes a day: SD cards and eMMC wear out by bytes and by flushes.

Bytes are the kernel's own count of what this process sent to the medium (/proc/self/io), so the
index and its log are in it; flushes are those of segments and of index transactions.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from sqlite3 import Connection

from agent.buffer.index import Index
from hardware.interface import Medium

KEPT_DAYS = 400
_IO = Path("/proc/self/io")


@dataclass(frozen=True, slots=True)
class DayWrites:
    """What was written on one UTC day (YYYY-MM-DD)."""

    day: str
    size_bytes: int
    flushes: int


# Whole writes a day that three years of service leave: a thousand of the plainer flash, six hundred
# of an SSD's (JESD219 client class, as makers rate theirs). A rotating disk is not worn by writing.
WHOLE_WRITES_A_DAY: dict[Medium | None, float | None] = {
    None: 1.0,
    Medium.CARD: 1.0,
    Medium.SSD: 0.5,
    Medium.ROTATING: None,
}


def default_limit(folder: Path, medium: Medium | None = None) -> int | None:
    """Return the bytes a day that the medium under `folder` bears for years; None: any number."""
    writes = WHOLE_WRITES_A_DAY[medium]
    facts = os.statvfs(folder)
    return None if writes is None else int(facts.f_blocks * facts.f_frsize * writes)


class WriteBudget:
    """Adds up day by day; `is_over` once today's bytes exceed this camera's part."""

    def __init__(self, index: Index, limit_bytes: int | None, flushes: Callable[[], int]) -> None:
        self._index, self._limit_bytes, self._flushes = index, limit_bytes, flushes
        self._bytes_before, self._flushes_before = _written_bytes(), flushes()
        self._day, self._noted_bytes = "", 0
        self.is_over = False

    def look(self, now: datetime) -> None:
        """Find out whether it is over; writes nothing, so it may be asked often."""
        noted_bytes = self._noted_bytes if self._day == f"{now:%Y-%m-%d}" else 0
        size_bytes = noted_bytes + _written_bytes() - self._bytes_before
        self.is_over = self._limit_bytes is not None and size_bytes > self._limit_bytes

    def note(self, now: datetime) -> DayWrites:
        """Add what was written since the last call to today. Raises `StorageError`."""
        size_bytes, flushes = _written_bytes(), self._flushes()
        day = f"{now:%Y-%m-%d}"
        with self._index.transaction() as db:
            db.execute(
                "INSERT INTO writes (day, bytes, flushes)"
                " VALUES (?,?,?) ON CONFLICT (day) DO UPDATE"
                " SET bytes = bytes + excluded.bytes, flushes = flushes + excluded.flushes",
                (day, size_bytes - self._bytes_before, flushes - self._flushes_before),
            )
            oldest = now - timedelta(days=KEPT_DAYS)
            db.execute("DELETE FROM writes WHERE day < ?", (f"{oldest:%Y-%m-%d}",))
            today = next(reversed(days(db)))
        self._bytes_before, self._flushes_before = size_bytes, flushes
        self._day, self._noted_bytes = today.day, today.size_bytes
        self.look(now)
        return today


def days(db: Connection) -> list[DayWrites]:
    """Return what is on record, oldest day first."""
    return [DayWrites(*row) for row in db.execute("SELECT * FROM writes ORDER BY day")]


def _written_bytes() -> int:
    try:
        lines = _IO.read_text("ascii").splitlines()
    except OSError:  # no such count on this system: it is told as nothing written
        return 0
    fields = dict(line.split(": ", 1) for line in lines)
    return int(fields.get("write_bytes", 0))
