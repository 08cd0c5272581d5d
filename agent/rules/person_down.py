"""A person is perhaps down: upright on this very track, then wide and still. Experimental.

Box shapes alone cannot tell who fell from who sits or bends (measured on photographs: 59 % found,
23 % false), so it needs the change of shape and the stillness after it, and stays a possibility.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agent.contract.events import EventKind
from agent.messages.vision import RuleChange, TrackedObject
from agent.rules.alarm import Alarm
from agent.rules.lineage import Lineages
from agent.rules.scene import Scene
from agent.rules.zone import Point, contains
from agent.settings.rules import PersonDownRule

_UPRIGHT, _WIDE = 1.5, 1.2  # height over width, width over height
_UPRIGHT_FOR_S = 1.0
_FELL_WITHIN_S = 10.0  # from last upright to lying still
_STILL = 0.3  # of its own width


@dataclass(slots=True)
class _Posture:
    upright_since_s: float | None = None
    upright_until_s: float | None = None  # last time upright, once it was so for long enough
    down_since_s: float | None = None
    down_at: Point = (0.0, 0.0)


class PersonDown:
    """Began: wide and still for `still_s` soon after upright. Ended: up or gone for `clear_s`."""

    kind = EventKind.PERSON_DOWN

    def __init__(self, settings: PersonDownRule) -> None:
        self.rule_id = settings.rule_id
        self._settings = settings
        self._aspect = 16 / 9
        self._alarm = Alarm(settings.rule_id, settings.clear_s)
        self._postures = Lineages(
            lambda _track, _at_s: _Posture(), keep_s=settings.clear_s, inherit_s=2.0
        )

    def see(self, scene: Scene, _at_s: float) -> list[RuleChange]:
        """Learn the picture's shape: regions are fractions, a body is not."""
        rows, columns = scene.luma.shape
        self._aspect = columns / rows
        return []

    def update(self, tracks: Sequence[TrackedObject], at_s: float) -> list[RuleChange]:
        """Take the tracks of one frame at `at_s` (monotonic seconds, never going back)."""
        must_forget, changes = self._alarm.after_blindness(at_s)
        if must_forget:
            self._postures.clear()
        people = [t for t in tracks if t.label == "person" and t.score >= self._settings.min_score]
        down = []
        for track, posture in self._postures.follow(people, at_s):
            lies_s = self._lies_for(track, posture, at_s)
            if lies_s >= self._settings.still_s and contains(self._settings.zone, track.foot):
                down.append(track)
        return changes + self._alarm.step(at_s, begins=bool(down), holds=bool(down), objects=down)

    def _lies_for(self, track: TrackedObject, posture: _Posture, at_s: float) -> float:
        """Return for how many seconds this one has been lying still, 0 when it is not."""
        region = track.region
        width, height = region.width * self._aspect, region.height
        if height >= _UPRIGHT * width:
            if posture.upright_since_s is None:
                posture.upright_since_s = at_s
            if at_s - posture.upright_since_s >= _UPRIGHT_FOR_S:
                posture.upright_until_s = at_s
        else:
            posture.upright_since_s = None
        middle = (region.x + region.width / 2, region.y + region.height / 2)
        if width < _WIDE * height or posture.upright_until_s is None:
            posture.down_since_s = None
            return 0.0
        moved = posture.down_since_s is None or (
            math.dist(middle, posture.down_at) > _STILL * region.width
        )
        if moved:
            posture.down_since_s, posture.down_at = at_s, middle
        since_s = posture.down_since_s
        if since_s is None or since_s - posture.upright_until_s > _FELL_WITHIN_S:
            return 0.0
        return at_s - since_s
