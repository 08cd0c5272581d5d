"""A suspicion must hold before it is told, and be gone for a while before it is over.

Fourth step of picture health; pure. One fault of the whole picture at a time: a covered lens is
not also out of focus.
"""

import math
from dataclasses import dataclass

from agent.messages.picture import PictureKind
from agent.messages.vision import HitState

HOLD_S = {
    PictureKind.COVERED: 45.0,
    PictureKind.DARK: 45.0,
    PictureKind.FROZEN: 60.0,
    PictureKind.DEFOCUSED: 60.0,
    PictureKind.MOVED: 60.0,
    PictureKind.TILTED: 60.0,
    PictureKind.NOISE: 60.0,
    PictureKind.GLARE: 90.0,
}
CLEAR_S = 30.0
MOST_PER_LOOK_S = 10.0
"""Looks further apart prove no more than this: nobody knows what was between them."""


@dataclass(frozen=True, slots=True)
class PictureChange:
    """A fault began, goes on or ended. `began_s`: monotonic, when it was first suspected."""

    kind: PictureKind
    state: HitState
    began_s: float
    detail: str = ""
    reason: str | None = None


class Persistence:
    """Turns the verdicts of looks into faults that begin and end. `told` is the open one."""

    def __init__(self) -> None:
        self.told: PictureKind | None = None
        self._suspected_s = dict.fromkeys(HOLD_S, 0.0)
        self._first_s: dict[PictureKind, float] = {}
        self._well_s = 0.0
        self._last_s: float | None = None
        self._last_kind: PictureKind | None = None
        self._found: PictureKind | None = None

    @property
    def suspects_any(self) -> bool:
        return any(self._suspected_s.values())

    @property
    def doubts(self) -> tuple[PictureKind, ...]:
        """What the last look found or is told already: for whoever can't wait for certainty."""
        found = {kind for kind in (self.told, self._found) if kind is not None}
        return tuple(sorted(found))

    def update(
        self, kind: PictureKind | None, detail: str, at_s: float, hold_s: float = 0.0
    ) -> PictureChange | None:
        """Take the verdict of the look at `at_s`; return what begins or ends, if anything.

        A `hold_s` above the kind's own makes this kind wait longer.
        """
        passed_s = 0.0 if self._last_s is None else min(at_s - self._last_s, MOST_PER_LOOK_S)
        self._last_s, self._found = at_s, kind
        if self.told is not None:
            return self._may_end(self.told, kind, passed_s)
        for known, held_s in self._suspected_s.items():
            self._suspected_s[known] = max(0.0, held_s + self._gain_s(known, kind, passed_s))
            if self._suspected_s[known] == 0.0 and known is not kind:
                self._first_s.pop(known, None)
        self._last_kind = kind
        if kind is None:
            return None
        began_s = self._first_s.setdefault(kind, at_s)
        if self._suspected_s[kind] < max(HOLD_S[kind], hold_s):
            return None
        self.told, self._well_s = kind, 0.0
        return PictureChange(kind, HitState.BEGAN, began_s, detail)

    def give_up(self, reason: str) -> PictureChange | None:
        """Forget every suspicion; return the end of the fault that was told, if any."""
        told, began_s = self.told, 0.0
        if told is not None:
            began_s = self._first_s[told]
        self.told = None
        self._suspected_s = dict.fromkeys(HOLD_S, 0.0)
        self._first_s.clear()
        return None if told is None else PictureChange(told, HitState.ENDED, began_s, "", reason)

    def going_on(self) -> PictureChange | None:
        """Return the open fault, to be told again."""
        if self.told is None:
            return None
        return PictureChange(self.told, HitState.CONTINUES, self._first_s[self.told])

    def _gain_s(self, known: PictureKind, kind: PictureKind | None, passed_s: float) -> float:
        if known is kind:
            return passed_s if self._last_kind is kind else 0.0
        # One look that differs proves that a picture is not frozen; the others may flicker.
        return -math.inf if known is PictureKind.FROZEN else -passed_s

    def _may_end(
        self, told: PictureKind, kind: PictureKind | None, passed_s: float
    ) -> PictureChange | None:
        self._well_s = max(0.0, self._well_s + (passed_s if kind is not told else -2 * passed_s))
        return self.give_up("well-again") if self._well_s >= CLEAR_S else None
