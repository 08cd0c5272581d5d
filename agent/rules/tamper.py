"""Someone has covered, turned or smeared the camera: picture health, raised to an alarm.

Sooner than the picture fault of the same cause, which waits until it is certain.
"""

from collections.abc import Sequence

from agent.contract.events import EventKind
from agent.messages.picture import PictureKind
from agent.messages.vision import RuleChange, TrackedObject
from agent.rules.alarm import Alarm
from agent.rules.scene import Scene
from agent.settings.rules import TamperRule


class Tamper:
    """Began: the picture health found one of the rule's faults for `hold_s`, look after look."""

    kind = EventKind.TAMPER

    def __init__(self, settings: TamperRule) -> None:
        self.rule_id = settings.rule_id
        self._kinds = frozenset(PictureKind(f"picture.{code}") for code in settings.codes)
        self._hold_s, self._since_s = settings.hold_s, float("inf")
        self._alarm = Alarm(settings.rule_id, settings.clear_s)

    def update(self, _tracks: Sequence[TrackedObject], _at_s: float) -> list[RuleChange]:
        """Do nothing: whoever is there does not matter."""
        return []

    def see(self, scene: Scene, at_s: float) -> list[RuleChange]:
        """Take what the picture health knows at `at_s`."""
        must_forget, changes = self._alarm.after_blindness(at_s)
        found = self._kinds & scene.doubts
        if must_forget or not found:
            self._since_s = float("inf")
        if found:
            self._since_s = min(self._since_s, at_s)
        measures = {kind.value.removeprefix("picture."): 1.0 for kind in sorted(found)}
        return changes + self._alarm.step(
            at_s,
            begins=at_s - self._since_s >= self._hold_s,
            holds=bool(found),
            measures=measures,
        )
