"""Someone has covered, turned or smeared the camera: picture health, raised to an alarm."""

from collections.abc import Sequence

from agent.contract.events import EventKind
from agent.messages.vision import RuleChange, TrackedObject
from agent.rules.alarm import Alarm
from agent.rules.scene import Scene
from agent.settings.rules import TamperRule


class Tamper:
    """True while the picture health finds one of the rule's faults."""

    kind = EventKind.TAMPER

    def __init__(self, settings: TamperRule) -> None:
        self.rule_id = settings.rule_id
        self._codes = frozenset(f"picture.{code}" for code in settings.codes)
        self._alarm = Alarm(settings.rule_id, settings.clear_s)

    def update(self, _tracks: Sequence[TrackedObject], _at_s: float) -> list[RuleChange]:
        """Do nothing: whoever is there does not matter."""
        return []

    def see(self, scene: Scene, at_s: float) -> list[RuleChange]:
        """Take what the picture health knows at `at_s`."""
        _, changes = self._alarm.after_blindness(at_s)
        found = sorted(self._codes & {trouble.kind.value for trouble in scene.troubles})
        measures = {code.removeprefix("picture."): 1.0 for code in found}
        return changes + self._alarm.step(
            at_s, begins=bool(found), holds=bool(found), measures=measures
        )
