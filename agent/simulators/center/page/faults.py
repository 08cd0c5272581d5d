"""What is wrong with a box as far as the center was told: by the last sample, and by events since.

A sample comes once a minute at best, and none while its box has no room or no line for one; what
is red is an event within seconds.
"""

from collections.abc import Iterable

from msgspec import Struct

from agent.contract.events import EventKind
from agent.contract.telemetry import FaultSample
from agent.simulators.center.page.incidents import Incident
from agent.simulators.center.view import BoxView

_TELL_A_FAULT = frozenset(
    {
        EventKind.BOX_FAULT,
        EventKind.NOT_RECORDED,
        EventKind.PICTURE_FAULT,
        EventKind.CAMERA_LOST,
    }
)


class FaultsTold(Struct, frozen=True):
    """The faults by name, and how many more the box said there are."""

    known: tuple[FaultSample, ...]
    untold: int


def faults_told(box: BoxView, incidents: Iterable[Incident]) -> FaultsTold:
    """Return what the last sample told, less what is over since, and what events told since.

    In the order it was told: the end of one incident says nothing of the next.
    """
    sample = box.telemetry
    known = {} if sample is None else {_key(one): one for one in sample.faults}
    total = len(known) + (0 if sample is None else sample.faults_untold)
    for one in sorted(incidents, key=lambda one: one.last_at):
        is_of_box = (one.site, one.box) == (box.address.site, box.address.box)
        is_news = sample is None or one.last_at > sample.t
        if not (is_of_box and is_news and one.kind in _TELL_A_FAULT):
            continue
        fault = _of_event(one)
        if one.ended is not None:
            over = _known_as(fault, known, one.kind)
            total -= over is not None and known.pop(over) is not None
        elif _known_as(fault, known, one.kind) is None:
            known[_key(fault)] = fault
    return FaultsTold(tuple(known.values()), max(0, total - len(known)))


def _of_event(one: Incident) -> FaultSample:
    subject = one.camera_id or one.box
    return FaultSample(code=one.code or one.kind, subject=subject, severity="red", since=one.began)


def _key(fault: FaultSample) -> tuple[str, str]:
    return fault.code, fault.subject.removeprefix("camera/")


def _known_as(
    fault: FaultSample, known: dict[tuple[str, str], FaultSample], kind: str
) -> tuple[str, str] | None:
    """A camera that is lost is told by how it was lost in an event, by what to do in a sample."""
    if (key := _key(fault)) in known:
        return key
    if kind != EventKind.CAMERA_LOST:
        return None
    alike = (each for each in known if each[0].startswith("camera.") and each[1] == fault.subject)
    return next(alike, None)
