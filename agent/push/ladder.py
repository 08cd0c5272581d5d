"""How much of a camera a thin line is given: main, sub, its key frames, a JPEG a second.

Down as soon as the line stalls; up again after a while that went well, and more slowly each time
that the step up did not hold. Pure: times are monotonic seconds, rates kbit/s.
"""

import math
from collections.abc import Mapping
from enum import IntEnum

FIRST_UP_S, LONGEST_UP_S = 4.0, 60.0
HOLDS_S = 8.0  # a rung that lasted so long was a good one


class Rung(IntEnum):
    JPEG = 0
    KEYS = 1
    SUB = 2
    MAIN = 3


class Ladder:
    """One push's place on the ladder; it begins where the limit lets it."""

    def __init__(self, now_s: float, max_kbps: int = 0, lowest: Rung = Rung.JPEG) -> None:
        self._max_kbps, self._lowest = max_kbps, lowest
        self._rung, self._since_s, self._well_since_s = Rung.MAIN, now_s, now_s
        self._up_after_s = FIRST_UP_S
        self.downs_total = self.ups_total = 0

    def rung(self, kbps: Mapping[Rung, float]) -> Rung:
        """Return where to be now; what is not there, or above the limit, is not climbed."""
        self._rung = min(self._rung, self._highest(kbps))
        return self._rung

    def stalled(self, now_s: float) -> None:
        """The line does not carry what it is given: one down."""
        if now_s - self._since_s < HOLDS_S and self.ups_total:
            self._up_after_s = min(LONGEST_UP_S, self._up_after_s * 2)
        self._go(Rung(max(self._lowest, self._rung - 1)), now_s)
        self.downs_total += 1

    def lagged(self, now_s: float) -> None:
        """It is behind, if only a little: not the time to climb."""
        self._well_since_s = now_s

    def climbs(self, now_s: float, kbps: Mapping[Rung, float]) -> bool:
        """Go one up if all went well for long enough; say whether it did."""
        if self._rung >= self._highest(kbps) or now_s - self._well_since_s < self._up_after_s:
            return False
        if now_s - self._since_s >= LONGEST_UP_S:
            self._up_after_s = FIRST_UP_S
        self._go(Rung(self._rung + 1), now_s)
        self.ups_total += 1
        return True

    def _highest(self, kbps: Mapping[Rung, float]) -> Rung:
        most = self._max_kbps or math.inf
        fitting = [rung for rung, rate in kbps.items() if rate <= most]
        return max([*fitting, self._lowest])

    def _go(self, rung: Rung, now_s: float) -> None:
        self._rung, self._since_s, self._well_since_s = rung, now_s, now_s
