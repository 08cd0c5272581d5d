"""Is the picture itself well? Covered, defocused, moved, dark, frozen, noise, tilted, glare, dirty.

Runs in the camera worker on a look every two seconds, next to the motion gate:
luma -> features -> judged against the baseline of day or night -> held for a time -> change.

Nothing is told before a baseline exists. What it can't tell: a cover from fog that comes within a
minute; a frozen picture from a scene without any noise sooner than after `MOST_STILL_S`; dirt that
was there from the beginning. A camera that turns by itself (PTZ) is never called moved, and in a
view it does not know only what needs no comparison is judged.
"""

from __future__ import annotations

from enum import StrEnum

from agent.detect.motion import Luma
from agent.detect.picture_health_baseline import Baseline, learn
from agent.detect.picture_health_dirt import DirtWatch
from agent.detect.picture_health_features import (
    LEAST_HEIGHT_PX,
    LEAST_WIDTH_PX,
    Features,
    measure,
)
from agent.detect.picture_health_judge import Judge, Verdict
from agent.detect.picture_health_persistence import (
    HOLD_S,
    MOST_PER_LOOK_S,
    Persistence,
    PictureChange,
)
from agent.detect.picture_health_view import agreement
from agent.messages.picture import PictureKind
from agent.messages.vision import HitState

LOOK_EVERY_S = 2.0
LEARN_S, LEARN_LOOKS = 120.0, 12
MOST_LEARN_LOOKS = 60
MOST_STILL_S = 240.0
RELEARN_S = {"ptz": 300.0, "unexplained": 3600.0, "moved": 86400.0}
"""A view that stays so long is the new usual one: a PTZ's new home, a changed scene, a camera
nobody turned back."""

_NIGHT_BELOW, _DAY_ABOVE = 30.0, 45.0  # luma above black, smoothed
_LIGHT_TAKES_S = 60.0
_COLLAPSED = 0.12  # of the detail a moment ago, across a switch to a mode not yet learned
_LEAST_DETAIL = 0.15  # luma steps; a picture without any tells nothing worth learning
_SAME_SCENE = 0.3
_SEARCH_EVERY_S = 10.0
_VIEW_KINDS = (PictureKind.MOVED, PictureKind.TILTED)

_UNSEEN_TO_END = (*_VIEW_KINDS, PictureKind.DEFOCUSED, PictureKind.NOISE, PictureKind.FROZEN)
"""Without a baseline nobody sees that these are over."""


class Mode(StrEnum):
    DAY = "day"
    NIGHT = "night"


class PictureHealth:
    """Watches one camera's picture. `baselines` by mode may come from an earlier run."""

    def __init__(self, baselines: dict[str, Baseline] | None = None, *, fixed: bool = True) -> None:
        self.baselines = baselines if baselines is not None else {}
        self.fixed = fixed
        self._judge, self._held = Judge(), Persistence()
        self._dirt: dict[str, DirtWatch] = {}
        self._dirty_since_s: float | None = None
        self._learning: list[Features] = []
        self._learning_s = self._strange_s = self._still_s = 0.0
        self._mode = Mode.DAY
        self._light, self._detail = self._as_left()
        self._before: Luma | None = None
        self._last_s: float | None = None
        self._search_s = float("-inf")

    @property
    def is_learning(self) -> bool:
        """Whether the present mode has no baseline yet."""
        return self._mode not in self.baselines

    def is_due(self, at_s: float) -> bool:
        """Return whether it is time for a look; frames come a little early, too."""
        return self._last_s is None or at_s - self._last_s >= LOOK_EVERY_S * 0.95

    def look(self, luma: Luma, at_s: float, *, is_grey: bool) -> list[PictureChange]:
        """Take a look at `at_s` (monotonic); return the faults that begin or end with it.

        `is_grey`: the picture has no colour at all, as under infrared light.
        """
        if luma.shape[0] < LEAST_HEIGHT_PX or luma.shape[1] < LEAST_WIDTH_PX:
            return []
        passed_s = 0.0 if self._last_s is None else min(at_s - self._last_s, MOST_PER_LOOK_S)
        self._last_s = at_s
        if passed_s >= MOST_PER_LOOK_S:  # what was before a gap tells nothing of noise
            self._before, self._still_s = None, 0.0
        seen = measure(luma, self._before)
        self._before = luma
        mode = self._mode_of(seen, passed_s, is_grey=is_grey)
        if mode is not self._mode:
            self._mode = mode
            self._learning, self._learning_s = [], 0.0
        base = self.baselines.get(mode)
        if base is None:
            return self._learn(seen, mode, passed_s, at_s)
        return self._watch(seen, base, passed_s, at_s)

    @property
    def doubts(self) -> tuple[PictureKind, ...]:
        """What the last look found, told or not yet."""
        return self._held.doubts

    def open_faults(self) -> list[PictureChange]:
        """Return what holds now, to be told again."""
        going_on = [change] if (change := self._held.going_on()) else []
        if self._dirty_since_s is not None:
            going_on.append(
                PictureChange(PictureKind.DIRTY, HitState.CONTINUES, self._dirty_since_s)
            )
        return going_on

    # One look

    def _watch(
        self, seen: Features, base: Baseline, passed_s: float, at_s: float
    ) -> list[PictureChange]:
        verdict = self._judge.judge(
            seen, base, fixed=self.fixed, told=self._held.told, may_search=at_s >= self._search_s
        )
        if not verdict.is_known_view and verdict.kind is None and at_s >= self._search_s:
            self._search_s = at_s + _SEARCH_EVERY_S
        self._stand_still(seen, base, passed_s)
        hold_s = min(max(HOLD_S[PictureKind.FROZEN], 3 * base.still_s), MOST_STILL_S)
        change = self._held.update(
            verdict.kind,
            verdict.detail,
            at_s,
            hold_s if verdict.kind is PictureKind.FROZEN else 0.0,
        )
        changes = [change] if change else []
        if verdict.kind in (None, PictureKind.FROZEN) and verdict.is_known_view:
            if verdict.kind is None and not self._held.suspects_any and self._held.told is None:
                base.follow(seen, passed_s)
                self._remember(seen, passed_s)
                changes += self._watch_dirt(seen, base, passed_s, at_s)
            self._strange_s = 0.0
        else:
            changes += self._may_relearn(verdict, passed_s)
        return changes

    def _stand_still(self, seen: Features, base: Baseline, passed_s: float) -> None:
        if seen.is_still:
            self._still_s += passed_s
            return
        if self._still_s and self._held.told is not PictureKind.FROZEN:
            base.still_s = max(base.still_s, self._still_s)
        self._still_s = 0.0

    def _watch_dirt(
        self, seen: Features, base: Baseline, passed_s: float, at_s: float
    ) -> list[PictureChange]:
        dirt = self._dirt.setdefault(self._mode, DirtWatch())
        is_dirty = dirt.update(seen, base, passed_s)
        since_s = self._dirty_since_s
        if is_dirty and since_s is None:
            self._dirty_since_s = at_s
            detail = f"contrast lost in {dirt.share:.0%} of the picture" if dirt.share else ""
            return [PictureChange(PictureKind.DIRTY, HitState.BEGAN, at_s, detail)]
        if since_s is not None and not any(b.dirty_spells for b in self.baselines.values()):
            self._dirty_since_s = None
            return [PictureChange(PictureKind.DIRTY, HitState.ENDED, since_s, reason="well-again")]
        return []

    def _may_relearn(self, verdict: Verdict, passed_s: float) -> list[PictureChange]:
        """A strange view that stays becomes the usual one, after a time that fits its cause."""
        if verdict.is_known_view or verdict.kind not in (None, *_VIEW_KINDS):
            return []
        self._strange_s += passed_s
        if not self.fixed:
            cause = "ptz"
        elif verdict.kind is None and self._held.told is None:
            cause = "unexplained"
        else:
            cause = "moved"
        if self._strange_s < RELEARN_S[cause]:
            return []
        self.baselines.clear()
        self._strange_s, self._learning, self._learning_s = 0.0, [], 0.0
        ended = self._held.give_up("new-view")
        return [ended] if ended else []

    # Day, night, and learning them

    def _as_left(self) -> tuple[float | None, float | None]:
        """Return light and detail as of the last run: a cover put on meanwhile is no night."""
        if not self.baselines:
            return None, None
        day = self.baselines.get(Mode.DAY)
        light = day.level if day is not None and Mode.NIGHT not in self.baselines else None
        return light, max(float(base.coarse.mean()) for base in self.baselines.values())

    def _mode_of(self, seen: Features, passed_s: float, *, is_grey: bool) -> Mode:
        """Night is a grey picture, or one that has slowly become dark."""
        if self._light is None:
            self._light = seen.level
        elif not self._held.suspects_any and self._held.told is None:
            self._light += min(1.0, passed_s / _LIGHT_TAKES_S) * (seen.level - self._light)
        if is_grey:
            return Mode.NIGHT
        bound = _DAY_ABOVE if self._mode is Mode.NIGHT else _NIGHT_BELOW
        return Mode.NIGHT if self._light < bound else Mode.DAY

    def _remember(self, seen: Features, passed_s: float) -> None:
        detail = float(seen.coarse.mean())
        if self._detail is None:
            self._detail = detail
        self._detail += min(1.0, passed_s / _LIGHT_TAKES_S) * (detail - self._detail)

    def _learn(
        self, seen: Features, mode: Mode, passed_s: float, at_s: float
    ) -> list[PictureChange]:
        detail = float(seen.coarse.mean())
        kind = self._held.told if self._held.told in _UNSEEN_TO_END else None
        if self._detail is not None and detail < _COLLAPSED * self._detail:
            kind = PictureKind.COVERED  # a covered lens makes the camera switch to night, too
        change = self._held.update(kind, "nothing of the scene is left", at_s)
        if kind is None and self._held.told is None and detail >= _LEAST_DETAIL:
            self._take_in(seen, mode, passed_s)
        return [change] if change else []

    def _take_in(self, seen: Features, mode: Mode, passed_s: float) -> None:
        looks = self._learning
        looks.append(seen)
        self._learning_s += passed_s
        if len(looks) > MOST_LEARN_LOOKS:
            del looks[0]
        if self._learning_s >= LEARN_S and len(looks) >= LEARN_LOOKS:
            third = len(looks) // 3
            first, last = learn(looks[:third]), learn(looks[-third:])
            if agreement(first.edges, last.edges) < _SAME_SCENE:
                del looks[: 2 * third]  # it was turned while learning
                self._learning_s = LEARN_S / 3
                return
            self.baselines[mode] = learn(looks)
            self._learning = []
            self._remember(seen, passed_s)
