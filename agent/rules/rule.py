"""What every rule is, and how the settings of a camera become its rules. In the camera worker."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from agent.messages.vision import HitState, RuleChange, TrackedObject
from agent.rules.abandoned_object import AbandonedObject
from agent.rules.crowd import Crowd
from agent.rules.flood import Flood
from agent.rules.ground import Ground
from agent.rules.intrusion import Intrusion
from agent.rules.line_crossing import LineCrossing
from agent.rules.loitering import Loitering
from agent.rules.person_down import PersonDown
from agent.rules.removed_object import RemovedObject
from agent.rules.scene import Scene
from agent.rules.stopped_vehicle import StoppedVehicle
from agent.rules.tamper import Tamper
from agent.rules.wrong_way import WrongWay
from agent.rules.zone import is_solid
from agent.settings import rules as told
from agent.settings.rules import Calibration
from agent.settings.schedule import is_awake, window

ASLEEP = "schedule"


class Rule(Protocol):
    """Watches the tracks of one camera. The changes of one rule strictly alternate began, ended."""

    rule_id: str

    @property
    def kind(self) -> str:
        """What it raises, as in `agent.contract.events.EventKind`."""
        ...

    def update(self, tracks: Sequence[TrackedObject], at_s: float) -> list[RuleChange]:
        """Take what one frame at `at_s` (monotonic seconds) showed; return what changed.

        Call it for a frame without tracks too: that is how a rule learns that nobody is there.
        """
        ...


@runtime_checkable
class SceneRule(Rule, Protocol):
    """A rule that looks at the picture itself, too: at every frame, asked about or not."""

    def see(self, scene: Scene, at_s: float) -> list[RuleChange]:
        """Take the picture of one frame; return what changed."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rule works. What is not known is left out: then it is always awake.

    `local_time` turns monotonic seconds into the site's local time; `folder` is the camera's own,
    for what a rule must not forget.
    """

    calibration: Calibration | None = None
    local_time: Callable[[float], datetime] | None = None
    folder: Path | None = None


class WatchedRule:
    """A rule kept to its schedule, and shown only regions that can be real."""

    def __init__(self, settings: told.Rule, place: Place) -> None:
        self.rule_id, self.kind = settings.rule_id, settings.kind.value
        self._settings, self._place = settings, place
        self._windows = tuple(window(text) for text in settings.schedule)
        self._begin()

    def _begin(self) -> None:
        self._rule: Rule = make(self._settings, self._place)
        self._eyes = self._rule if isinstance(self._rule, SceneRule) else None
        self._is_active = False

    @property
    def is_active(self) -> bool:
        """Whether what it watches for is the case: it has begun and not ended."""
        return self._is_active

    @property
    def watches(self) -> bool:
        """Whether it looks at the picture itself."""
        return self._eyes is not None

    @property
    def counters(self) -> dict[str, int]:
        """What it has counted since it began, by name."""
        return self._rule.counters if isinstance(self._rule, LineCrossing) else {}

    def update(self, tracks: Sequence[TrackedObject], at_s: float) -> list[RuleChange]:
        """See `Rule.update`."""
        if not self.is_awake(at_s):
            return self._rest()
        solid = [track for track in tracks if is_solid(track)]
        return self._noted(self._rule.update(solid, at_s))

    def see(self, scene: Scene, at_s: float) -> list[RuleChange]:
        """See `SceneRule.see`; for other rules nothing."""
        if self._eyes is None:
            return []
        if not self.is_awake(at_s):
            return self._rest()
        return self._noted(self._eyes.see(scene, at_s))

    def _noted(self, changes: list[RuleChange]) -> list[RuleChange]:
        for change in changes:
            self._is_active = change.state is not HitState.ENDED
        return changes

    def is_awake(self, at_s: float) -> bool:
        """Say whether its schedule has it watch now."""
        local_time = self._place.local_time
        if not self._windows or local_time is None:
            return True
        return is_awake(self._windows, local_time(at_s))

    def _rest(self) -> list[RuleChange]:
        """End what holds, and forget: the next window begins anew. Counts are kept."""
        if not self._is_active:
            return []
        counted = self.counters
        self._begin()
        if isinstance(self._rule, LineCrossing):
            self._rule.forward, self._rule.back = counted["forward"], counted["back"]
        return [RuleChange(rule_id=self.rule_id, state=HitState.ENDED, reason=ASLEEP)]


def build(settings: Sequence[told.Rule], place: Place | None = None) -> list[WatchedRule]:
    """Make the rules of one camera that are switched on, in the order of its settings."""
    return [WatchedRule(one, place or Place()) for one in settings if one.is_on]


def make(settings: told.Rule, place: Place) -> Rule:
    """Make one rule from its settings, whatever its schedule."""
    match settings:
        case told.CrowdRule():
            return Crowd(settings, _area_m2(settings, place.calibration))
        case told.FloodRule():
            return Flood(settings, place.folder)
        case told.LineCrossingRule():
            return LineCrossing(settings, place.folder)
        case _:
            return _SIMPLE[type(settings)](settings)


_SIMPLE: dict[type, Callable[..., Rule]] = {
    told.IntrusionRule: Intrusion,
    told.LoiteringRule: Loitering,
    told.AbandonedObjectRule: AbandonedObject,
    told.RemovedObjectRule: RemovedObject,
    told.WrongWayRule: WrongWay,
    told.StoppedVehicleRule: StoppedVehicle,
    told.TamperRule: Tamper,
    told.PersonDownRule: PersonDown,
}


def _area_m2(settings: told.CrowdRule, calibration: Calibration | None) -> float:
    """Return the zone's size on the ground; without a usable calibration no density is reached."""
    if settings.area_m2 is not None:
        return settings.area_m2
    area_m2 = Ground(calibration).area_m2(settings.zone) if calibration else None
    return area_m2 or float("inf")
