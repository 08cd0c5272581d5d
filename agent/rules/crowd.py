"""How many persons stand on a square metre of the zone, in three levels with hysteresis.

Where people hide one another a detector of whole bodies counts too few: what it says is a lower
bound, and the levels are set accordingly. See the grade.
"""

from collections import deque
from collections.abc import Sequence
from statistics import median_low

from agent.contract.events import EventKind
from agent.messages.vision import RuleChange, TrackedObject
from agent.rules.alarm import Alarm
from agent.rules.zone import contains
from agent.settings.rules import CrowdRule

_SMOOTH_S = 3.0  # a count of one frame misses some and takes shadows for others


class Crowd:
    """Began: level 1 held for `hold_s`. Another level is news. Ended: below for `clear_s`."""

    kind = EventKind.CROWD

    def __init__(self, settings: CrowdRule, area_m2: float) -> None:
        self.rule_id = settings.rule_id
        self.level = 0
        self._settings, self._area_m2 = settings, area_m2
        self._alarm = Alarm(settings.rule_id, settings.clear_s)
        self._counts: deque[tuple[float, int]] = deque()
        self._above_s: float | None = None

    def update(self, tracks: Sequence[TrackedObject], at_s: float) -> list[RuleChange]:
        """Take the tracks of one frame at `at_s` (monotonic seconds, never going back)."""
        must_forget, changes = self._alarm.after_blindness(at_s)
        if must_forget:
            self._counts.clear()
            self._above_s, self.level = None, 0
        people = [track for track in tracks if self._is_in(track)]
        self._counts.append((at_s, len(people)))
        while at_s - self._counts[0][0] > _SMOOTH_S:
            self._counts.popleft()
        persons = float(median_low(count for _, count in self._counts))
        before, self.level = self.level, self._level(persons / self._area_m2)
        if self.level == 0:
            self._above_s = None
        elif self._above_s is None:
            self._above_s = at_s
        held = self._above_s is not None and at_s - self._above_s >= self._settings.hold_s
        measures = {
            "level": self.level,
            "persons": persons,
            "per_m2": round(persons / self._area_m2, 2),
        }
        return changes + self._alarm.step(
            at_s,
            begins=held,
            holds=self.level > 0,
            objects=people,
            measures=measures,
            news=self.level != before,
        )

    def _is_in(self, track: TrackedObject) -> bool:
        settings = self._settings
        is_person = track.label == "person" and track.score >= settings.min_score
        return is_person and contains(settings.zone, track.foot)

    def _level(self, per_m2: float) -> int:
        kept = 1.0 - self._settings.hysteresis
        return sum(
            per_m2 >= (least * kept if self.level > index else least)
            for index, least in enumerate(self._settings.levels)
        )
