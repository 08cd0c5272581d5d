"""What happened, before it is an incident: whoever saw it says it in this form."""

from dataclasses import dataclass, field
from datetime import datetime

from agent.contract.events import (
    Asked,
    CapCertainty,
    CapSeverity,
    CapUrgency,
    EventKind,
    Grade,
    Picture,
    SeenObject,
    Source,
    StreamName,
    TimeQuality,
)
from agent.contract.grades import GRADES

LOWERED = "/lowered"  # ends the key of an incident that is no alarm but a notice


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that began, went on or ended under `key`. `hit_id` makes taking it idempotent."""

    key: str
    subject: str
    kind: EventKind
    at: datetime
    mono_s: float
    tq: TimeQuality
    stream: StreamName
    hit_id: str | None = None
    rule_id: str | None = None
    objects: tuple[SeenObject, ...] = ()
    picture: Picture | None = None
    detail: str | None = None
    code: str | None = None
    reason: str | None = None
    model: str | None = None
    severity: CapSeverity = CapSeverity.UNKNOWN
    urgency: CapUrgency = CapUrgency.IMMEDIATE
    certainty: CapCertainty = CapCertainty.OBSERVED
    grade: Grade | None = None
    seen_by: Source = Source.BOX
    rules: tuple[str, ...] = ()
    measures: dict[str, float] = field(default_factory=dict)
    crop: Picture | None = None
    asks: tuple[Asked, ...] = ()


def stream_of(kind: EventKind) -> StreamName:
    """Return the stream incidents of `kind` go by: alarms before everything else."""
    is_alarm = kind in GRADES or kind in {EventKind.NOT_RECORDED, EventKind.EMERGENCY_BELL}
    return StreamName.ALARM if is_alarm else StreamName.EVENT


def stream_by_key(key: str, kind: EventKind) -> StreamName:
    """Return the stream of an incident: what was lowered is a notice."""
    return StreamName.EVENT if key.endswith(LOWERED) else stream_of(kind)
