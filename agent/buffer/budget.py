"""How much a camera's worker writes a day: SD cards and eMMC wear out by bytes and by flushes.

Bytes are the kernel's own count of what this process sent to the medium (/proc/self/io), so the
index and its log are in it; flushes are those of segments and of index transactions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from sqlite3 import Connection

from agent.buffer.index import Index

KEPT_DAYS = 400
_IO = Path("/proc/self/io")


@dataclass(frozen=True, slots=True)
class DayWrites:
    """What was written on one UTC day (YYYY-MM-DD)."""

    day: str
    size_bytes: int
    flushes: int


class WriteBudget:
    """Adds up day by day; `is_over` once today's bytes exceed this camera's part."""

    def __init__(self, index: Index, limit_bytes: int | None, flushes: Callable[[], int]) -> None:
        self._index, self._limit_bytes, self._flushes = index, limit_bytes, flushes
        self._bytes_before, self._flushes_before = _written_bytes(), flushes()
        self.is_over = False

    def note(self, now: datetime) -> DayWrites:
        """Add what was written since the last call to today. Raises `StorageError`."""
        size_bytes, flushes = _written_bytes(), self._flushes()
        day = f"{now:%Y-%m-%d}"
        with self._index.transaction() as db:
            db.execute(
                "INSERT INTO writes VALUES (?,?,?) ON CONFLICT (day) DO UPDATE"
                " SET bytes = bytes + excluded.bytes, flushes = flushes + excluded.flushes",
                (day, size_bytes - self._bytes_before, flushes - self._flushes_before),
            )
            oldest = now - timedelta(days=KEPT_DAYS)
            db.execute("DELETE FROM writes WHERE day < ?", (f"{oldest:%Y-%m-%d}",))
            today = next(reversed(days(db)))
        self._bytes_before, self._flushes_before = size_bytes, flushes
        self.is_over = self._limit_bytes is not None and today.size_bytes > self._limit_bytes
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
