"""A change on trial: it is kept only if what worked before goes on working.

The box can't ask anybody: a change that cuts it off, or loses it a camera, must go by itself.
"""

from dataclasses import dataclass
from enum import StrEnum

LOST_S = 300.0


class Verdict(StrEnum):
    WATCHING = "watching"
    KEPT = "kept"
    LOST = "lost"


@dataclass(slots=True)
class Trial:
    """One change. `worked` names what worked before it: as "link" or "camera/gate".

    `needs_word`: somebody must confirm it within `LOST_S`, whatever works.
    """

    worked: frozenset[str]
    began_mono_s: float
    needs_word: bool = False
    lost_since_mono_s: float | None = None

    def look(self, works: frozenset[str], now_mono_s: float) -> Verdict:
        """Judge by what works now; call it every few seconds.

        Lost for `LOST_S` without a break ends it badly; all there after `LOST_S` ends it well.
        """
        if self.needs_word and self.left_s(now_mono_s) <= 0:
            return Verdict.LOST
        if self.worked <= works:
            self.lost_since_mono_s = None
            return Verdict.KEPT if now_mono_s - self.began_mono_s >= LOST_S else Verdict.WATCHING
        if self.lost_since_mono_s is None:
            self.lost_since_mono_s = now_mono_s
        is_lost = now_mono_s - self.lost_since_mono_s >= LOST_S
        return Verdict.LOST if is_lost else Verdict.WATCHING

    def left_s(self, now_mono_s: float) -> float:
        """Return how long there is still to confirm it."""
        return max(0.0, self.began_mono_s + LOST_S - now_mono_s)
