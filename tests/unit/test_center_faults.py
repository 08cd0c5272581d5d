"""The stand-in center counts the faults it was told of, whichever way and whatever came last."""

from datetime import UTC, datetime, timedelta

from agent.contract.events import EventKind, TimeQuality
from agent.contract.telemetry import FaultSample, Telemetry
from agent.contract.topics import BoxAddress
from agent.simulators.center.page.faults import faults_told
from agent.simulators.center.page.incidents import Incident
from agent.simulators.center.view import BoxView

NOW = datetime(2026, 11, 23, tzinfo=UTC)
FULL = FaultSample(code="storage.full", subject="camera/gate", severity="red")


def box(*faults, untold=0, has_sample=True):
    sample = Telemetry(t=NOW, mono=1.0, tq=TimeQuality.NTP, faults=faults, faults_untold=untold)
    return BoxView(
        address=BoxAddress("site-1", "box-1"),
        online=True,
        since=NOW,
        state=None,
        info=None,
        telemetry=sample if has_sample else None,
        telemetry_at=NOW,
        streams=(),
    )


def incident(kind, code, subject, after_s=5.0, *, is_over=False, of="box-1"):
    at = NOW + timedelta(seconds=after_s)
    return Incident(
        id=f"{code}{subject}",
        site="site-1",
        box=of,
        kind=kind.value,
        camera_id=subject,
        phase="end" if is_over else "new",
        began=at,
        ended=at if is_over else None,
        last_at=at,
        delay_ms=1.0,
        code=code,
    )


def not_recorded(subject="gate", after_s=5.0, **more):
    return incident(EventKind.NOT_RECORDED, "storage.full", subject, after_s, **more)


def counted(*told):
    found = faults_told(*told)
    return sorted(one.code for one in found.known), found.untold


def test_what_an_event_told_since_the_sample_counts_and_of_each_thing_once():
    both = [not_recorded(), not_recorded("yard")]
    assert counted(box(), both) == (["storage.full", "storage.full"], 0)
    assert counted(box(FULL), both) == (["storage.full", "storage.full"], 0)
    assert counted(box(has_sample=False), both) == (["storage.full", "storage.full"], 0)
    lost = incident(EventKind.CAMERA_LOST, "camera.refused", "gate")
    sampled = FaultSample(code="camera.unreachable", subject="camera/gate", severity="red")
    assert counted(box(sampled), [lost]) == (["camera.unreachable"], 0)


def test_a_sample_that_came_after_an_event_knows_better():
    assert counted(box(), [not_recorded(after_s=-5.0)]) == ([], 0)
    assert counted(box(FULL), [not_recorded(after_s=-5.0, is_over=True)]) == (["storage.full"], 0)


def test_what_an_event_ended_counts_no_more():
    assert counted(box(FULL), [not_recorded(is_over=True)]) == ([], 0)
    assert counted(box(), [not_recorded(is_over=True)]) == ([], 0)


def test_other_boxes_and_what_is_no_fault_do_not_count():
    others = [not_recorded(of="box-2"), incident(EventKind.INTRUSION, None, "gate")]
    assert counted(box(), others) == ([], 0)


def test_those_without_a_name_stay_counted_and_the_named_are_taken_from_them():
    assert counted(box(FULL, untold=3), []) == (["storage.full"], 3)
    assert counted(box(FULL, untold=3), [not_recorded("yard")]) == (["storage.full"] * 2, 2)


def test_what_is_over_and_came_again_since_the_sample_counts_whichever_is_listed_first():
    first, again = not_recorded(after_s=5.0, is_over=True), not_recorded(after_s=9.0)
    for told in ([first, again], [again, first]):
        assert counted(box(FULL), told) == (["storage.full"], 0)
        assert counted(box(), told) == (["storage.full"], 0)


def test_a_camera_that_is_back_is_no_fault_though_the_sample_named_it_otherwise():
    sampled = FaultSample(code="camera.unreachable", subject="camera/gate", severity="red")
    back = incident(EventKind.CAMERA_LOST, "camera.refused", "gate", is_over=True)
    assert counted(box(sampled), [back]) == ([], 0)
    assert counted(box(sampled, FULL), [back]) == (["storage.full"], 0)
    dark = incident(EventKind.PICTURE_FAULT, "camera.dark", "gate", is_over=True)
    frozen = FaultSample(code="camera.frozen", subject="camera/gate", severity="red")
    assert counted(box(frozen), [dark]) == (["camera.frozen"], 0)  # each picture fault by itself
