"""What one entry of the catalogue holds: how bad the fault is, and its words."""

from dataclasses import dataclass

from agent.health.fault import Severity

RED, YELLOW = Severity.RED, Severity.YELLOW


@dataclass(frozen=True, slots=True)
class Words:
    """One entry of the catalogue."""

    severity: Severity
    en: str
    ko: str
    hint_en: str
    hint_ko: str
