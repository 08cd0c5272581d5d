"""Every fault the box can name: how bad it is, and its words in English and Korean.

A sentence says what is wrong as a technician would; a hint says what to do next, with hands. Words
in braces are filled in by the checks, through `fault_of`; a reason is said in the sentence's own
language (`reasons`). Korean particles never follow a brace.
"""

from datetime import datetime

from agent.health.catalogue.alarms import ALARMS
from agent.health.catalogue.box import BOX
from agent.health.catalogue.cameras import CAMERAS
from agent.health.catalogue.care import CARE
from agent.health.catalogue.center import CENTER
from agent.health.catalogue.incidents import INCIDENTS
from agent.health.catalogue.onvif import ONVIF
from agent.health.catalogue.pole import POLE
from agent.health.catalogue.reasons import Reason, reason_of
from agent.health.catalogue.storage import STORAGE
from agent.health.catalogue.updates import UPDATES
from agent.health.catalogue.words import Words
from agent.health.fault import Fault

CATALOGUE: dict[str, Words] = (
    CAMERAS | STORAGE | CENTER | BOX | POLE | ALARMS | ONVIF | CARE | INCIDENTS | UPDATES
)


_REASONS = ("reason", "why")


def fault_of(
    code: str, subject: str, since: datetime | None = None, **fields: str | int | Reason
) -> Fault:
    """Return the fault `code` of `subject`; `fields` fill the braces of its sentences."""
    words = CATALOGUE[code]
    for name in _REASONS:
        if isinstance(text := fields.get(name), str):
            fields[name] = reason_of(text)
    en, ko = ({name: _in(value, of) for name, value in fields.items()} for of in (0, 1))
    return Fault(
        code=code,
        severity=words.severity,
        sentence_en=words.en.format(**en),
        sentence_ko=words.ko.format(**ko),
        hint_en=words.hint_en,
        hint_ko=words.hint_ko,
        subject=subject,
        since=since,
    )


def _in(value: str | int | Reason, language: int) -> str | int:
    return value[language] if isinstance(value, Reason) else value
