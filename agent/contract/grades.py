"""How far the alarms of each kind were proven: what was measured decides, never what is wished."""

from collections.abc import Mapping
from typing import Final

from agent.contract.events import EventKind, Grade

GRADES: Mapping[EventKind, Grade] = {
    EventKind.INTRUSION: Grade.CERTIFIED_READY,
    EventKind.LOITERING: Grade.ASSIST,
    EventKind.LINE_CROSSING: Grade.CERTIFIED_READY,
    EventKind.TAMPER: Grade.CERTIFIED_READY,
    EventKind.ABANDONED_OBJECT: Grade.ASSIST,
    EventKind.WRONG_WAY: Grade.ASSIST,
    EventKind.STOPPED_VEHICLE: Grade.ASSIST,
    EventKind.CROWD: Grade.ASSIST,
    EventKind.CAMERA_ANALYTICS: Grade.ASSIST,
    EventKind.REMOVED_OBJECT: Grade.EXPERIMENTAL,
    EventKind.FLOOD: Grade.EXPERIMENTAL,
    EventKind.PERSON_DOWN: Grade.EXPERIMENTAL,
}

_OF_THE_PICTURE: Final = frozenset({EventKind.TAMPER, EventKind.FLOOD})  # no detector takes part


def grade_with(kind: EventKind, *, is_measured: bool) -> Grade | None:
    """Return how far alarms of `kind` are proven; `is_measured` says whether it was our model.

    A model of the operator's own may be certified; nobody has measured it with these rules.
    """
    grade = GRADES.get(kind)
    if grade is not Grade.CERTIFIED_READY or is_measured or kind in _OF_THE_PICTURE:
        return grade
    return Grade.ASSIST
