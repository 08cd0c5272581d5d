"""When to ask the detector about a camera, how badly it needs to, and what had to be left out.

The camera wishes for a look now and then; the detect process says how often it may have one (see
`agent.detect.sharing`). What it wished for and did not get is counted as shed. Motion in which
nothing is found time and again (water, a swaying shadow, moths) is looked at more rarely, until it
grows or somebody is found.
"""

from collections.abc import Sequence
from typing import Protocol

from agent.detect.sharing import Wish
from agent.settings.model import NORMAL_PRIORITY

LINGER_S = 2.0  # keep looking at full rate so long after the last motion
STILL_LOOK_EVERY_S = 1.0  # somebody stands still: look this often
IDLE_LOOK_EVERY_S = 10.0  # nothing moves, nobody known: look all the same, now and then
FRUITLESS_LOOKS, FRUITLESS_EVERY_S = 10, 1.0  # so many looks in vain, then this often
_GROWN, _GROWN_BY = 1.5, 0.005  # times the share of the picture, and that much of it more
_FRUITLESS_FOR_S = 60.0  # what was in vain so long ago says nothing
_EARLY = 0.9  # frames come a little early, too
_NEVER_S = float("-inf")
_SHARE_STEP = 0.05  # of one wish in the running share: some twenty of them count

# Need relative to a camera without rules where nothing happens; what is true adds up.
ARMED, MOVING, KNOWN, ALARMED = 1.0, 2.0, 2.0, 4.0


class Watching(Protocol):
    """A rule, as far as need goes."""

    @property
    def is_active(self) -> bool: ...

    def is_awake(self, at_s: float) -> bool: ...


class LookRhythm:
    """The looks of one camera. Owned by its sub stream's thread."""

    def __init__(self) -> None:
        self.wished_total = self.had_total = 0
        self.shed_share = 0.0
        self.moved_s = self._looked_s = self._wished_s = _NEVER_S
        self._allowed_every_s = self._told_rate = 0.0
        self._is_owed = False
        self._had_before = 0
        self._share = self._vain_share = 0.0
        self._vain_looks, self._vain_s = 0, _NEVER_S

    def forget(self) -> None:
        """A new timeline begins."""
        self.moved_s = self._looked_s = self._wished_s = _NEVER_S
        self._is_owed = False
        self._vain_looks, self._vain_share = 0, 0.0

    def moved(self, at_s: float, share: float) -> None:
        """Take note of motion in a `share` of the picture."""
        self.moved_s, self._share = at_s, share
        is_long_ago = at_s - self._vain_s > _FRUITLESS_FOR_S
        if is_long_ago or share > _GROWN * self._vain_share + _GROWN_BY:
            self._vain_looks, self._vain_share = 0, 0.0

    def moves(self, at_s: float) -> bool:
        """Say whether something moved lately."""
        return at_s - self.moved_s <= LINGER_S

    def is_due(self, at_s: float, fps: float, *, knows_any: bool) -> bool:
        """Say whether to ask now. Each wish is fulfilled at most once, late rather than never."""
        rate = self._rate(at_s, fps, knows_any=knows_any)
        if rate > self._told_rate:  # what a quiet camera was allowed does not hold one that wakes
            self._allowed_every_s = 0.0
        late_s = at_s - self._wished_s - 1 / rate
        if late_s >= (_EARLY - 1) / rate:
            # What a frame came too late is made up for: of 25 frames a second every 2.5th, not 3rd.
            self._wished_s, self._is_owed = at_s - (late_s if 0 < late_s < 1 / rate else 0), True
            self._count_wish()
        if not self._is_owed or at_s - self._looked_s < _EARLY * self._allowed_every_s:
            return False
        self._looked_s, self._is_owed, self._told_rate = at_s, False, rate
        return True

    def had(self, allowed_every_s: float, *, found: bool) -> None:
        """Take note of an answer: how often the detector can be had, whether it found anything."""
        self.had_total += 1
        self._allowed_every_s = allowed_every_s
        if found:
            self._vain_looks, self._vain_share = 0, 0.0
        elif self.moves(self._looked_s):
            self._vain_looks, self._vain_s = self._vain_looks + 1, self._looked_s
            self._vain_share = max(self._vain_share, self._share)

    def _count_wish(self) -> None:
        if self.wished_total:
            shed = self.had_total == self._had_before
            self.shed_share += _SHARE_STEP * (shed - self.shed_share)
        self.wished_total, self._had_before = self.wished_total + 1, self.had_total

    def wish(
        self,
        at_s: float,
        fps: float,
        rules: Sequence[Watching],
        *,
        knows_any: bool,
        priority: int = NORMAL_PRIORITY,
    ) -> Wish:
        """Return what the detect process is to know of this camera's need."""
        need = 1.0
        need += ARMED * any(rule.is_awake(at_s) for rule in rules)
        need += MOVING * self.moves(at_s)
        need += KNOWN * knows_any
        need += ALARMED * any(rule.is_active for rule in rules)
        need *= priority / NORMAL_PRIORITY
        return Wish(self._rate(at_s, fps, knows_any=knows_any), need)

    def _rate(self, at_s: float, fps: float, *, knows_any: bool) -> float:
        if self.moves(at_s):
            return fps if self._vain_looks < FRUITLESS_LOOKS else min(fps, 1 / FRUITLESS_EVERY_S)
        return 1.0 / (STILL_LOOK_EVERY_S if knows_any else IDLE_LOOK_EVERY_S)
