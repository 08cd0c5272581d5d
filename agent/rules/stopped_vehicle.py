"""A vehicle stands where none may stand: its region stays where it is for a while."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agent.contract.events import EventKind
from agent.messages.vision import RuleChange, TrackedObject
from agent.rules.alarm import Alarm
from agent.rules.lineage import Lineages
from agent.rules.zone import Point, contains
from agent.settings.rules import StoppedVehicleRule

_STILL = 0.25  # of its own size: less is a region that trembles
_HIDDEN_S = 10.0  # somebody walks past in front of it


@dataclass(slots=True)
class _Halt:
    at: Point
    since_s: float
    sure: bool = False


class StoppedVehicle:
    """Began: a vehicle stood still for `still_s`. Ended: none stands there for `clear_s`."""

    kind = EventKind.STOPPED_VEHICLE

    def __init__(self, settings: StoppedVehicleRule) -> None:
        self.rule_id = settings.rule_id
        self._settings = settings
        self._alarm = Alarm(settings.rule_id, settings.clear_s)
        self._halts = Lineages(
            lambda track, at_s: _Halt(track.foot, at_s), keep_s=_HIDDEN_S, inherit_s=_HIDDEN_S
        )

    def update(self, tracks: Sequence[TrackedObject], at_s: float) -> list[RuleChange]:
        """Take the tracks of one frame at `at_s` (monotonic seconds, never going back)."""
        must_forget, changes = self._alarm.after_blindness(at_s)
        if must_forget:
            self._halts.clear()
        settings = self._settings
        labelled = [track for track in tracks if track.label in settings.labels]
        halted = []
        for track, halt in self._halts.follow(labelled, at_s):
            halt.sure = halt.sure or track.score >= settings.min_score
            size = max(track.region.width, track.region.height)
            if math.dist(track.foot, halt.at) > _STILL * size:
                halt.at, halt.since_s = track.foot, at_s
            stood_s = at_s - halt.since_s
            if halt.sure and stood_s >= settings.still_s and contains(settings.zone, track.foot):
                halted.append(track)
        return changes + self._alarm.step(
            at_s, begins=bool(halted), holds=bool(halted), objects=halted
        )
