"""Every fault the box can name: how bad it is, and its words in English and Korean.

A sentence says what is wrong as a technician would; a hint says what to do next, with hands. Words
in braces are filled in by the checks, through `fault_of`. Korean particles never follow a brace.
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
from agent.health.catalogue.storage import STORAGE
from agent.health.catalogue.updates import UPDATES
from agent.health.catalogue.words import Words
from agent.health.fault import Fault

CATALOGUE: dict[str, Words] = (
    CAMERAS | STORAGE | CENTER | BOX | POLE | ALARMS | ONVIF | CARE | INCIDENTS | UPDATES
)


def fault_of(code: str, subject: str, since: datetime | None = None, **fields: str | int) -> Fault:
    """Return the fault `code` of `subject`; `fields` fill the braces of its sentences."""
    words = CATALOGUE[code]
    return Fault(
        code=code,
        severity=words.severity,
        sentence_en=words.en.format(**fields),
        sentence_ko=words.ko.format(**fields),
        hint_en=words.hint_en,
        hint_ko=words.hint_ko,
        subject=subject,
        since=since,
    )
