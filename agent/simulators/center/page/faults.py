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
    """Return what the last sample told, less what is over since, and what events told since."""
    sample = box.telemetry
    known = {} if sample is None else {_key(one): one for one in sample.faults}
    total = len(known) + (0 if sample is None else sample.faults_untold)
    for one in incidents:
        is_of_box = (one.site, one.box) == (box.address.site, box.address.box)
        is_news = sample is None or one.last_at > sample.t
        if not (is_of_box and is_news and one.kind in _TELL_A_FAULT):
            continue
        fault = _of_event(one)
        if one.ended is not None:
            total -= known.pop(_key(fault), None) is not None
        elif not _is_known(fault, known):
            known[_key(fault)] = fault
    return FaultsTold(tuple(known.values()), max(0, total - len(known)))


def _of_event(one: Incident) -> FaultSample:
    subject = one.camera_id or one.box
    return FaultSample(code=one.code or one.kind, subject=subject, severity="red", since=one.began)


def _key(fault: FaultSample) -> tuple[str, str]:
    return fault.code, fault.subject.removeprefix("camera/")


def _is_known(fault: FaultSample, known: dict[tuple[str, str], FaultSample]) -> bool:
    """A camera that is lost is told by how it was lost in an event, by what to do in a sample."""
    if _key(fault) in known:
        return True
    return fault.code.startswith("camera.") and any(
        code.startswith("camera.") and subject == fault.subject for code, subject in known
    )
