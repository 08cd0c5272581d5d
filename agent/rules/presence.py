"""Somebody stays in a zone for a while: what intrusion and loitering have in common."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agent.messages.vision import RuleChange, TrackedObject
from agent.rules.alarm import Alarm
from agent.rules.lineage import Lineages
from agent.rules.zone import Point, contains

_LEAST_WAY = 0.5  # body heights somebody must have gone the way that counts


@dataclass(frozen=True, slots=True)
class Stay:
    """What makes a presence: who, where, for how long, broken by how much at the most."""

    zone: Sequence[Point]
    labels: Sequence[str]
    min_score: float
    dwell_s: float
    break_s: float
    clear_s: float
    inherit_s: float = 1.0
    reach: float = 0.5
    alike: float = math.inf
    toward: Point | None = None
    within_m: float | None = None
    min_speed_mps: float | None = None


@dataclass(slots=True)
class _Presence:
    """One unbroken stay in the zone. `sure` once its score has reached the rule's."""

    since_s: float = 0.0
    entry: Point = (0.0, 0.0)
    ground_m: Point | None = None
    inside_s: float | None = None
    sure: bool = False


class Presence:
    """True while somebody who has stayed in the zone for the dwell time is there."""

    def __init__(self, rule_id: str, stay: Stay) -> None:
        self.rule_id = rule_id
        self._stay, self._alarm = stay, Alarm(rule_id, stay.clear_s)
        self._people = Lineages(
            lambda _track, _at_s: _Presence(),
            keep_s=stay.break_s,
            inherit_s=stay.inherit_s,
            reach=stay.reach,
            alike=stay.alike,
        )
        self._before_s = 0.0

    def update(self, tracks: Sequence[TrackedObject], at_s: float) -> list[RuleChange]:
        """Take the tracks of one frame at `at_s` (monotonic seconds, never going back)."""
        must_forget, changes = self._alarm.after_blindness(at_s)
        if must_forget:
            self._people.clear()
        present, dwelt = [], []
        labelled = [track for track in tracks if track.label in self._stay.labels]
        for track, memory in self._people.follow(labelled, at_s):
            if self._is_inside(track, memory, at_s):
                present.append(track)
                if at_s - memory.since_s >= self._stay.dwell_s and self._goes_right(track, memory):
                    dwelt.append(track)
        self._before_s = at_s
        objects = present if self._alarm.is_active else dwelt
        return changes + self._alarm.step(
            at_s, begins=bool(dwelt), holds=bool(present), objects=objects
        )

    def _is_inside(self, track: TrackedObject, memory: _Presence, at_s: float) -> bool:
        """Carry a stay on to this frame; one broken for too long begins anew."""
        if not contains(self._stay.zone, track.foot):
            return False
        left_s = memory.inside_s
        if left_s is None or self._before_s - left_s >= self._stay.break_s:
            memory.since_s, memory.entry, memory.sure = at_s, track.foot, False
            memory.ground_m = track.ground_m
        elif self._went_on(track, memory):
            memory.since_s, memory.entry, memory.ground_m = at_s, track.foot, track.ground_m
        memory.inside_s = at_s
        memory.sure = memory.sure or track.score >= self._stay.min_score
        return memory.sure

    def _went_on(self, track: TrackedObject, memory: _Presence) -> bool:
        """Say whether somebody has left the place where a stay of so few metres began."""
        within_m = self._stay.within_m
        if within_m is None or track.ground_m is None:
            return False
        return memory.ground_m is None or math.dist(memory.ground_m, track.ground_m) > within_m

    def _goes_right(self, track: TrackedObject, memory: _Presence) -> bool:
        if self._stay.min_speed_mps is not None and (
            track.speed_mps is None or track.speed_mps < self._stay.min_speed_mps
        ):
            return False
        way = self._stay.toward
        if way is None:
            return True
        gone = (track.foot[0] - memory.entry[0], track.foot[1] - memory.entry[1])
        along = (gone[0] * way[0] + gone[1] * way[1]) / math.hypot(*way)
        return along >= _LEAST_WAY * track.region.height
