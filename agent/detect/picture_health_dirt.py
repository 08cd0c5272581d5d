"""Dirt, dew and webs take contrast away from a part of the picture over hours and days.

Compares the detail a cell showed at its best within some hours with the best it ever had, beside
what the picture as a whole lost (an overcast day takes from all cells alike). Slow by design: a
lorry parked for an afternoon is no dirt.
"""

import numpy as np

from agent.detect.picture_health_baseline import Baseline, telling
from agent.detect.picture_health_features import Cells, Features

SPELL_S = 4 * 3600.0
"""Each so much watched time in one mode ends with a comparison."""
SPELLS_TO_TELL = 3
_MEAN_OVER_S = 600.0
_LOST_BELOW = 0.45
_TELL_SHARE, _END_SHARE = 0.06, 0.03
_LEAST_CELLS = 4
_FORGET_PER_SPELL = 0.002  # what changed for good (a tree felled) is forgotten within a year


class DirtWatch:
    """Follows one mode's cells. `share` is the part of the telling cells that is dirty."""

    def __init__(self) -> None:
        self.share = 0.0
        self._watched_s = self._mean_s = 0.0
        self._sum: Cells | None = None
        self._best: Cells | None = None

    def update(self, seen: Features, base: Baseline, passed_s: float) -> bool:
        """Take a healthy look; return whether the lens is dirty, as far as is known."""
        weighed = seen.fine * np.float32(passed_s)
        self._sum = weighed if self._sum is None else self._sum + weighed
        self._mean_s += passed_s
        self._watched_s += passed_s
        if self._mean_s >= _MEAN_OVER_S:
            mean = self._sum / np.float32(self._mean_s)
            self._best = mean if self._best is None else np.maximum(self._best, mean)
            self._sum, self._mean_s = None, 0.0
        if self._watched_s >= SPELL_S and self._best is not None:
            self._compare(self._best, base)
            self._watched_s, self._best = 0.0, None
        return base.dirty_spells >= SPELLS_TO_TELL

    def _compare(self, best: Cells, base: Baseline) -> None:
        if base.clean is None:
            base.clean = best
            return
        tells = telling(base.clean)
        left = best[tells] / base.clean[tells]
        overall = float(np.median(left))
        lost = left < _LOST_BELOW * min(max(overall, 0.5), 1.0)
        self.share = float(lost.mean()) if lost.size else 0.0
        if self.share >= _TELL_SHARE and np.count_nonzero(lost) >= _LEAST_CELLS:
            base.dirty_spells = min(SPELLS_TO_TELL, base.dirty_spells + 1)
        elif base.dirty_spells < SPELLS_TO_TELL or self.share < _END_SHARE:
            base.dirty_spells = 0
        base.clean = np.maximum(base.clean * np.float32(1 - _FORGET_PER_SPELL), best)
