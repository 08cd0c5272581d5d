"""Someone moves against the way of the zone: seen from how far they came, not from one frame."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.contract.events import EventKind
from agent.messages.vision import RuleChange, TrackedObject
from agent.rules.alarm import Alarm
from agent.rules.lineage import Lineages
from agent.rules.zone import Point, contains
from agent.settings.rules import WrongWayRule

_LOOK_BACK_S = 2.0
_LEAST_WAY = 0.4  # of the object's size: what stands and trembles goes nowhere
_AGAINST = -0.5  # cosine: more than 120 degrees from the way


@dataclass(slots=True)
class _Course:
    """Where an object was lately, and since when it goes against the way."""

    places: deque[tuple[float, Point]] = field(default_factory=deque)
    against_since_s: float | None = None
    sure: bool = False


class WrongWay:
    """Began: somebody moved against `way` for `dwell_s`. Ended: nobody did for `clear_s`."""

    kind = EventKind.WRONG_WAY

    def __init__(self, settings: WrongWayRule) -> None:
        self.rule_id = settings.rule_id
        self._settings = settings
        self._alarm = Alarm(settings.rule_id, settings.clear_s)
        self._courses = Lineages(lambda _track, _at_s: _Course())

    def update(self, tracks: Sequence[TrackedObject], at_s: float) -> list[RuleChange]:
        """Take the tracks of one frame at `at_s` (monotonic seconds, never going back)."""
        must_forget, changes = self._alarm.after_blindness(at_s)
        if must_forget:
            self._courses.clear()
        against, dwelt = [], []
        labelled = [track for track in tracks if track.label in self._settings.labels]
        for track, course in self._courses.follow(labelled, at_s):
            course.sure = course.sure or track.score >= self._settings.min_score
            if not (self._is_against(track, course, at_s) and course.sure):
                course.against_since_s = None
                continue
            if course.against_since_s is None:
                course.against_since_s = at_s
            against.append(track)
            if at_s - course.against_since_s >= self._settings.dwell_s:
                dwelt.append(track)
        objects = against if self._alarm.is_active else dwelt
        return changes + self._alarm.step(
            at_s, begins=bool(dwelt), holds=bool(against), objects=objects
        )

    def _is_against(self, track: TrackedObject, course: _Course, at_s: float) -> bool:
        course.places.append((at_s, track.foot))
        while at_s - course.places[0][0] > _LOOK_BACK_S:
            course.places.popleft()
        least_mps = self._settings.min_speed_mps
        if least_mps is not None and (track.speed_mps is None or track.speed_mps < least_mps):
            return False
        if not contains(self._settings.zone, track.foot):
            return False
        _, (x, y) = course.places[0]
        gone = (track.foot[0] - x, track.foot[1] - y)
        length = math.hypot(*gone)
        if length < _LEAST_WAY * max(track.region.width, track.region.height):
            return False
        way = self._settings.way
        along = gone[0] * way[0] + gone[1] * way[1]
        return along / (length * math.hypot(*way)) < _AGAINST
