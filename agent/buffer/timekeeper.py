"""Which UTC time recordings carry, and what to correct once the time is proven.

Recordings are placed on the monotonic clock; UTC is that plus an offset. The offset follows the
wall clock only while the kernel says it is synchronised, and then by slewing: a step of the clock
never cuts, reorders or overlaps a recording. A box without a battery clock boots in the past; what
it records is `unproven` until the clock is synchronised for the first time in this boot, and is
then shifted by a `Correction`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from agent.contract.events import TimeQuality
from agent.core.clock import Clock

SLEW = 500e-6
STEP_S = 2.0  # a proven clock that jumps further is not believed at once
BELIEVE_AFTER_S = 900.0  # … but if it stays so, it is right and we were wrong
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RecordedTime(StrEnum):
    """How far the UTC of a recording can be trusted."""

    SYNCED = "synced"
    HOLDOVER = "holdover"  # it was synchronised in this boot, now the box's own clock carries on
    UNPROVEN = "unproven"
    CORRECTED = "corrected"  # recorded unproven, re-dated when the time was proven


@dataclass(frozen=True, slots=True)
class Correction:
    """Shift what was recorded in this boot before `before_mono_s` by `shift_s`."""

    before_mono_s: float
    shift_s: float


class Timekeeper:
    """One per worker. `look` often; `utc` whenever a time is needed."""

    def __init__(
        self,
        clock: Clock,
        proven_offset_s: float | None = None,
        floor: datetime | None = None,
        begun_offset_s: float | None = None,
    ) -> None:
        """`proven_offset_s`: what an earlier worker of this boot had found out.

        `floor`: where the last recording ends; unproven times begin there if the clock is behind.
        `begun_offset_s`: by what an earlier worker of this boot recorded; unproven times go on with
        it if the clock is behind, so that one correction is right for all of them.
        """
        self._clock = clock
        self._is_proven = proven_offset_s is not None
        now_s = clock.monotonic_s()
        self._offset_s = self._wall_offset_s(now_s) if proven_offset_s is None else proven_offset_s
        if begun_offset_s is not None and not self._is_proven:
            self._offset_s = max(self._offset_s, begun_offset_s)
        elif floor is not None and not self._is_proven:
            self._offset_s = max(self._offset_s, (floor - _EPOCH).total_seconds() - now_s)
        self._looked_s = now_s
        self.corrected_mono_s = now_s
        """Corrections up to this moment are in its times, later ones are not."""
        self._astray_since_s: float | None = None
        self._is_synced = False

    @property
    def quality(self) -> RecordedTime:
        """Return the quality of times given out now."""
        if not self._is_proven:
            return RecordedTime.UNPROVEN
        return RecordedTime.SYNCED if self._is_synced else RecordedTime.HOLDOVER

    @property
    def proven_offset_s(self) -> float | None:
        """UTC minus monotonic, None while unproven; kept for the next worker of this boot."""
        return self._offset_s if self._is_proven else None

    def utc(self, mono_s: float) -> datetime:
        """Return the UTC time of a monotonic time of this boot."""
        return _EPOCH + timedelta(seconds=mono_s + self._offset_s)

    def look(self) -> Correction | None:
        """Compare with the wall clock; return what to correct, once, when time is proven."""
        now_s = self._clock.monotonic_s()
        passed_s, self._looked_s = now_s - self._looked_s, now_s
        if self._clock.quality() is not TimeQuality.NTP:
            self._is_synced, self._astray_since_s = False, None
            return None
        difference_s = self._wall_offset_s(now_s) - self._offset_s
        if not self._is_proven:
            self._is_proven = self._is_synced = True
            return self._shift(now_s, difference_s)
        if abs(difference_s) <= STEP_S:
            self._is_synced, self._astray_since_s = True, None
            room_s = passed_s * SLEW
            self._offset_s += max(-room_s, min(room_s, difference_s))
            return None
        return self._astray(now_s, difference_s)

    def _astray(self, now_s: float, difference_s: float) -> Correction | None:
        """The proven clock jumped: hold our own time until the new one has proven itself."""
        self._is_synced = False
        if self._astray_since_s is None:
            self._astray_since_s = now_s
        if now_s - self._astray_since_s < BELIEVE_AFTER_S:
            return None
        self._astray_since_s, self._is_synced = None, True
        return self._shift(now_s, difference_s)

    def _shift(self, now_s: float, difference_s: float) -> Correction:
        self._offset_s += difference_s
        self.corrected_mono_s = now_s
        return Correction(now_s, difference_s)

    def _wall_offset_s(self, mono_s: float) -> float:
        return (self._clock.utc_now() - _EPOCH).total_seconds() - mono_s
