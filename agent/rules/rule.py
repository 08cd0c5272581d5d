"""What every rule is, and how the settings of a camera become its rules. In the camera worker."""

from collections.abc import Sequence
from typing import Protocol

from agent.messages.vision import RuleChange, TrackedObject
from agent.rules.intrusion import Intrusion
from agent.settings.rules import IntrusionRule


class Rule(Protocol):
    """Watches the tracks of one camera. The changes of one rule strictly alternate began, ended."""

    rule_id: str
    kind: str

    def update(self, tracks: Sequence[TrackedObject], at_s: float) -> list[RuleChange]:
        """Take what one frame at `at_s` (monotonic seconds) showed; return what changed.

        Call it for a frame without tracks too: that is how a rule learns that nobody is there.
        """
        ...


def build(settings: Sequence[IntrusionRule]) -> list[Rule]:
    """Make the rules of one camera, in the order of its settings."""
    return [_rule(one) for one in settings]


def _rule(settings: IntrusionRule) -> Rule:
    match settings:
        case IntrusionRule():
            return Intrusion(settings)
