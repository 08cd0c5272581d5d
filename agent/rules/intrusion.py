"""Someone is where nobody should be: a foot point stands in the zone for the dwell time."""

from agent.contract.events import EventKind
from agent.rules.presence import Presence, Stay
from agent.settings.rules import IntrusionRule


class Intrusion(Presence):
    """Began: someone of the labels stood in the zone for `dwell_s`. Ended: `clear_s` nobody."""

    kind = EventKind.INTRUSION

    def __init__(self, settings: IntrusionRule) -> None:
        stay = Stay(
            zone=settings.zone,
            labels=settings.labels,
            min_score=settings.min_score,
            dwell_s=settings.dwell_s,
            break_s=settings.clear_s,
            clear_s=settings.clear_s,
            toward=settings.toward,
            min_speed_mps=settings.min_speed_mps,
        )
        super().__init__(settings.rule_id, stay)
