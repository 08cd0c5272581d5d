"""The time a recorder gives to what it stores, kept right with the wall clock and in the index."""

from __future__ import annotations

import threading
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Connection

from agent.buffer.index import Index, Moment, from_micros, micros
from agent.buffer.timekeeper import RecordedTime, Timekeeper
from agent.core import log
from agent.core.clock import Clock

LOOK_EVERY_S = 5.0
LEAST_CORRECTION_S = 0.05
PROVEN = (RecordedTime.SYNCED, RecordedTime.HOLDOVER, RecordedTime.CORRECTED)
_LONG_US = 366 * 86_400 * 1_000_000


@dataclass(frozen=True, slots=True)
class Dates:
    """`utc` of a monotonic time of this boot, as corrections made up to `corrected_mono_us` say."""

    boot_id: str
    corrected_mono_us: int
    utc: Callable[[float], datetime]


class RecordingClock:
    """One an index; the recorders' threads call `look`, any thread may ask for times.

    `steady` is held while times change, and by a recorder from asking when a segment begins until
    its row is there: no row may carry a time from before a correction it was not part of.
    """

    def __init__(self, index: Index, clock: Clock, boot_id: str) -> None:
        self._index, self._clock, self._boot_id = index, clock, boot_id
        proven_s, begun_s = index.proven_offset_s(boot_id), begun_offset_s(index, boot_id)
        self._keeper = Timekeeper(clock, proven_s, last_end(index), begun_s)
        self._look_due_s = 0.0
        self.steady = threading.RLock()
        self._log = log.get("buffer.recorder")

    def utc(self, mono_s: float) -> datetime:
        """Return the UTC that recordings carry for a monotonic time of this boot."""
        return self._keeper.utc(mono_s)

    def moment(self, mono_s: float) -> Moment:
        """Return all that is known of a recent `monotonic_s`."""
        return Moment(
            utc_us=micros(self._keeper.utc(mono_s)),
            mono_us=round(mono_s * 1e6),
            boot_id=self._boot_id,
            quality=self._keeper.quality,
        )

    def dates(self) -> Dates:
        """Return by what things are dated just now; it stays so, whatever is corrected later."""
        keeper = self._keeper
        return Dates(self._boot_id, round(keeper.corrected_mono_s * 1e6), keeper.utc)

    def corrections(self) -> list[tuple[str, int, int]]:
        """Return boot, moment and shift (microseconds) of each correction, of other boots, too.

        Raises `StorageError`.
        """
        query = "SELECT boot_id, before_mono_us, shift_us FROM corrections ORDER BY correction_id"
        with self._index.reading() as db:
            return [tuple(row) for row in db.execute(query)]

    def look(self) -> None:
        """Follow the wall clock; what was recorded before it was proven is re-dated.

        Raises `StorageError` or `OSError`; then the old time goes on until the next look.
        """
        now_s = self._clock.monotonic_s()
        if now_s < self._look_due_s:
            return
        with self.steady:
            self._look(now_s)

    def _look(self, now_s: float) -> None:
        if now_s < self._look_due_s:  # another stream's thread was faster
            return
        self._look_due_s = now_s + LOOK_EVERY_S
        keeper = copy(self._keeper)
        correction = keeper.look()
        if correction is not None and abs(correction.shift_s) >= LEAST_CORRECTION_S:
            self._index.correct(self._boot_id, correction, keeper.utc(now_s))
            self._log.warning("recordings re-dated", shift_s=round(correction.shift_s, 3))
        self._keeper = keeper  # not before the disk has it: a correction comes but once


def last_end(index: Index) -> datetime | None:
    """Return where the last recording ends, None without any.

    One whose time was never proven counts only up to a year beyond the last whose time was: a clock
    that ran far ahead for one boot must not lead all others astray.
    """
    newest = (
        "SELECT start_utc_us + duration_us AS end_us, start_utc_us FROM segments WHERE {}"
        " ORDER BY start_utc_us DESC LIMIT 1"
    )
    with index.reading() as db:
        proven = db.execute(newest.format("time_quality IN (?,?,?)"), PROVEN).fetchone()
        until_us = proven["end_us"] + _LONG_US if proven else 2**62
        row = db.execute(newest.format("start_utc_us <= ?"), (until_us,)).fetchone()
    return None if row is None else from_micros(row["end_us"])


def begun_offset_s(index: Index, boot_id: str) -> float | None:
    """Return UTC minus monotonic of the last segment of this boot, None without any."""
    with index.reading() as db:
        newest = newest_offset_s(db, boot_id)
    return newest[1] if newest else None


def newest_offset_s(db: Connection, boot_id: str) -> tuple[bool, float] | None:
    """Return of the last segment, if it is of this boot: is it proven; UTC minus monotonic."""
    row = db.execute(
        "SELECT s.time_quality, start_utc_us - start_mono_us"
        " FROM segments s JOIN runs USING (run_id)"
        " WHERE segment_id = (SELECT max(segment_id) FROM segments)"
        " AND start_mono_us IS NOT NULL AND boot_id = ?",
        (boot_id,),
    ).fetchone()
    return None if row is None else (row[0] != RecordedTime.UNPROVEN, row[1] / 1e6)
