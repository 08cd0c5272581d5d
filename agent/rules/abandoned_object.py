"""Something was left behind: new, still, and nobody near it."""

from collections.abc import Sequence

from agent.contract.events import EventKind
from agent.messages.vision import RuleChange, TrackedObject
from agent.rules.alarm import Alarm
from agent.rules.scene import Scene
from agent.rules.still_things import StillThing, StillThings
from agent.rules.zone import contains
from agent.settings.rules import AbandonedObjectRule, RemovedObjectRule

_OWNERS = ("person", "bicycle", "car", "motorcycle", "bus", "truck")


class AbandonedObject:
    """Began: a new thing lay unattended in the zone for `still_s`. Ended: it is gone."""

    kind: EventKind = EventKind.ABANDONED_OBJECT

    def __init__(self, settings: AbandonedObjectRule | RemovedObjectRule) -> None:
        self.rule_id = settings.rule_id
        self._settings = settings
        self._alarm = Alarm(settings.rule_id, settings.clear_s)
        self._things = StillThings(settings.near, settings.max_area)

    def update(self, tracks: Sequence[TrackedObject], at_s: float) -> list[RuleChange]:
        """Take note of who might be the owner; the picture decides (`see`)."""
        self._things.people([one for one in tracks if one.label in _OWNERS], at_s)
        return []

    def see(self, scene: Scene, at_s: float) -> list[RuleChange]:
        """Take the picture of one frame at `at_s` (monotonic seconds, never going back)."""
        must_forget, changes = self._alarm.after_blindness(at_s)
        if must_forget:
            self._things.forget()
        if scene.doubts:  # a covered or turned camera shows nothing new, only something else
            self._things.forget()
            return changes
        if not self._things.look(scene.luma, at_s):
            return changes
        found = [
            _as_object(number, thing)
            for number, thing in enumerate(self._things.found(self._settings.still_s))
            if self._is_meant(thing)
        ]
        return changes + self._alarm.step(
            at_s, begins=bool(found), holds=bool(found), objects=found
        )

    def _is_meant(self, thing: StillThing) -> bool:
        region = thing.region
        foot = (region.x + region.width / 2, region.y + region.height)
        is_new = self.kind is EventKind.ABANDONED_OBJECT
        return thing.is_new == is_new and contains(self._settings.zone, foot)


def _as_object(number: int, thing: StillThing) -> TrackedObject:
    return TrackedObject(number, "object", 1.0, thing.region)
