"""A fault in plain words: what is wrong, since when, what to do, in English and Korean.

Made by `agent.health.checks` in the core, shown by the local page and `poleside status`, told to
the center as a `box-fault` event. The light at the top of the page is the worst of all faults.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace


class Severity(StrEnum):
    RED = "red"  # something the box is there for does not happen
    YELLOW = "yellow"  # it still happens, but not for long or not as well


class Light(StrEnum):
    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


class Fault(Struct, frozen=True, kw_only=True):
    """One thing that is wrong. `(code, subject)` is its identity while it lasts.

    `subject` says of what: "camera/gate", "link", "disk", "board", "process/detect", … `since` is
    None when nobody knows.
    """

    code: str
    severity: Severity
    sentence_en: str
    sentence_ko: str
    hint_en: str
    hint_ko: str
    subject: str
    since: datetime | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What makes two faults the same one."""
        return (self.code, self.subject)


def light(faults: Iterable[Fault]) -> Light:
    """Return the worst of `faults` as one light."""
    severities = {fault.severity for fault in faults}
    if Severity.RED in severities:
        return Light.RED
    return Light.YELLOW if severities else Light.GREEN


def keep_since(faults: Iterable[Fault], before: Iterable[Fault], now: datetime) -> list[Fault]:
    """Return `faults`, each once and red first, with the time it began.

    That is the time its check knows, else the time it had `before`, else `now`.
    """
    began = {fault.key: fault.since for fault in before}
    once: dict[tuple[str, str], Fault] = {}
    for fault in faults:  # two checks may see one trouble: a password the camera refuses twice
        since = fault.since or began.get(fault.key) or now
        once.setdefault(fault.key, replace(fault, since=since))
    return sorted(once.values(), key=lambda fault: (fault.severity is not Severity.RED, fault.key))


def changes(faults: Sequence[Fault], before: Sequence[Fault]) -> tuple[list[Fault], list[Fault]]:
    """Return the faults that began and those that ended since `before`."""
    now_keys = {fault.key for fault in faults}
    old_keys = {fault.key for fault in before}
    began = [fault for fault in faults if fault.key not in old_keys]
    ended = [fault for fault in before if fault.key not in now_keys]
    return began, ended
