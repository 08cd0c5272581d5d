"""How much an alarm weighs: its severity, its certainty, and what it may be merged with."""

from collections.abc import Mapping, Sequence

from agent.contract.events import CapCertainty, CapSeverity, EventKind, Grade, Source
from agent.contract.grades import grade_with
from agent.messages.vision import RuleHit, TrackedObject

_BY_LEVEL = (
    CapSeverity.MINOR,
    CapSeverity.MINOR,
    CapSeverity.MODERATE,
    CapSeverity.SEVERE,
    CapSeverity.EXTREME,
)
_SEVERITY: Mapping[EventKind, CapSeverity] = {
    EventKind.PERSON_DOWN: CapSeverity.SEVERE,
    EventKind.LOITERING: CapSeverity.MINOR,
    EventKind.LINE_CROSSING: CapSeverity.MINOR,
    EventKind.STOPPED_VEHICLE: CapSeverity.MINOR,
    EventKind.CAMERA_ANALYTICS: CapSeverity.MINOR,
}
_RANK = (
    CapSeverity.UNKNOWN,
    CapSeverity.MINOR,
    CapSeverity.MODERATE,
    CapSeverity.SEVERE,
    CapSeverity.EXTREME,
)
_SURE_SCORE = 0.6

_PRESENCE = frozenset(
    {
        EventKind.INTRUSION,
        EventKind.LOITERING,
        EventKind.LINE_CROSSING,
        EventKind.WRONG_WAY,
        EventKind.CAMERA_ANALYTICS,
    }
)
_ALWAYS_RAISED = frozenset(
    {EventKind.PERSON_DOWN, EventKind.FLOOD, EventKind.CROWD, EventKind.TAMPER}
)
_GROUPS = {
    "car": "vehicle",
    "truck": "vehicle",
    "bus": "vehicle",
    "motorcycle": "vehicle",
    "bicycle": "vehicle",
}


def severity_of(hit: RuleHit) -> CapSeverity:
    """Return how bad it is; a rule with levels says so by its level."""
    level = hit.measures.get("level")
    if level is not None:
        return _BY_LEVEL[min(max(int(level), 0), len(_BY_LEVEL) - 1)]
    return _SEVERITY.get(EventKind(hit.kind), CapSeverity.MODERATE)


def certainty_of(hit: RuleHit) -> CapCertainty:
    """Return how sure it is: the grade of its kind first, then how sure the detector was."""
    grade = _proven(hit) or Grade.EXPERIMENTAL
    best = max((thing.score for thing in hit.objects), default=1.0)
    if grade is Grade.CERTIFIED_READY or (grade is Grade.ASSIST and best >= _SURE_SCORE):
        return CapCertainty.LIKELY
    return CapCertainty.POSSIBLE


def worse(one: CapSeverity, other: CapSeverity) -> CapSeverity:
    """Return the worse of two."""
    return max(one, other, key=_RANK.index)


def family_of(hit: RuleHit) -> str:
    """Name what may be merged: presences of one class are one thing, all else is its own."""
    kind = EventKind(hit.kind)
    if kind not in _PRESENCE:
        return kind.value
    return f"presence-{class_of(hit.objects)}"


def class_of(objects: Sequence[TrackedObject]) -> str:
    """Return the class of what takes part: persons before vehicles before all else."""
    groups = {_GROUPS.get(thing.label, thing.label) for thing in objects}
    for group in ("person", "vehicle"):
        if group in groups:
            return group
    return min(groups, default="unknown")


def is_always_raised(kind: EventKind) -> bool:
    """Say whether it must never be lowered or limited."""
    return kind in _ALWAYS_RAISED


def grade_of(hit: RuleHit) -> Grade | None:
    """Return the grade that goes with an event; the camera's own analytics only assist."""
    if hit.source is Source.CAMERA:
        return Grade.ASSIST
    return _proven(hit)


def _proven(hit: RuleHit) -> Grade | None:
    is_measured = hit.model is None or hit.is_measured
    return grade_with(EventKind(hit.kind), is_measured=is_measured)
