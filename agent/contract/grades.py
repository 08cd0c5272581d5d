"""How far the alarms of each kind were proven: what was measured decides, never what is wished."""

from collections.abc import Mapping

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
