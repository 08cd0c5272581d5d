"""From a camera's messages to what began and ended: not twice, not from state, not for ever."""

from datetime import UTC, datetime, timedelta

import pytest

from agent.cameras.camera_states import CameraStates, Turn
from agent.cameras.notifications import Notification, Operation, plain_topic
from agent.cameras.quirks import quirks_of
from agent.cameras.topics import find, topics
from agent.contract.events import EventKind

_AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _told(topic, operation=Operation.CHANGED, after_s=0.0, source="1", **data) -> Notification:
    items = tuple(data.items())
    at = _AT + timedelta(seconds=after_s)
    return Notification(topic, (("Source", source),), items, operation, at)


def test_every_row_of_the_table_has_a_kind_that_exists_and_a_meaning():
    assert len(topics()) >= 35
    for row in topics().values():
        assert row.meaning
        assert not row.kind or EventKind(row.kind)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("tns1:RuleEngine/CellMotionDetector/Motion", "RuleEngine/CellMotionDetector/Motion"),
        (
            "tns1:RuleEngine/tns1:CellMotionDetector/tns1:Motion/",
            "RuleEngine/CellMotionDetector/Motion",
        ),
        (" tns1:VideoSource/tnsaxis:MotionAlarm. ", "VideoSource/MotionAlarm"),
        ("tns1:Device/Trigger/tnshik:AlarmIn", "Device/Trigger/AlarmIn"),
        ("tns1:VideoSource/GlobalSceneChange/ImagingService", "VideoSource/GlobalSceneChange/x"),
    ],
)
def test_topics_of_all_makers_are_known(written, plain):
    row = find(plain_topic(written))
    assert row is not None
    assert row == find(plain)


def test_initialized_is_state_and_never_an_alarm():
    states = CameraStates()
    topic = "RuleEngine/FieldDetector/ObjectsInside"
    assert states.take(_told(topic, Operation.INITIALIZED, IsInside="true"), 0.0) is None
    assert states.take(_told(topic, IsInside="true", after_s=1), 1.0) is None  # it held already
    assert states.take(_told(topic, IsInside="false", after_s=2), 2.0) is None
    hit = states.take(_told(topic, IsInside="true", after_s=3), 3.0)
    assert hit is not None
    assert hit.turn is Turn.BEGAN


def test_what_is_told_twice_is_told_once_and_goes_on_until_it_ends():
    states = CameraStates()
    topic = "RuleEngine/TamperDetector/Tamper"
    began = states.take(_told(topic, IsTamper="true"), 0.0)
    assert began is not None
    assert (began.turn, began.kind) == (Turn.BEGAN, "tamper")
    assert states.take(_told(topic, IsTamper="true"), 0.1) is None
    assert states.doubled_total == 1
    assert [hit.turn for hit in states.tick(6.0)] == [Turn.GOES_ON]
    ended = states.take(_told(topic, IsTamper="false", after_s=9), 9.0)
    assert ended is not None
    assert ended.turn is Turn.ENDED


def test_a_state_whose_end_never_comes_is_ended_by_time():
    states = CameraStates()
    states.take(_told("RuleEngine/PeopleDetector/People", IsPeople="true"), 0.0)
    (hit,) = states.tick(61.0)
    assert (hit.turn, hit.reason) == (Turn.ENDED, "timed-out")
    assert states.tick(62.0) == ()


def test_an_instant_is_over_by_itself_and_motion_raises_nothing():
    states = CameraStates()
    began = states.take(_told("RuleEngine/LineDetector/Crossed", ObjectId="1"), 0.0)
    assert began is not None
    assert began.turn is Turn.BEGAN
    assert [hit.turn for hit in states.tick(5.5)] == [Turn.ENDED]
    assert states.take(_told("VideoSource/MotionAlarm", State="true"), 0.0) is None


def test_a_bell_is_a_call_and_has_no_time_out():
    states = CameraStates(frozenset({"in-2"}))
    topic = "Device/Trigger/DigitalInput"
    other = states.take(_told(topic, source="in-1", LogicalState="true"), 0.0)
    bell = states.take(_told(topic, source="in-2", LogicalState="true"), 0.0)
    assert other is not None
    assert bell is not None
    assert (other.kind, bell.kind) == ("camera-analytics", "emergency-bell")
    assert {hit.turn for hit in states.tick(10_000.0)} == {Turn.GOES_ON}
    assert states.input_of(_told(topic, source="in-1", LogicalState="true")) == ("in-1", True)
    assert states.input_of(_told("VideoSource/MotionAlarm", State="true")) is None


def test_unknown_topics_are_passed_on_raw_and_counted():
    states = CameraStates()
    hit = states.take(_told("Acme/NewThing", Level="7"), 0.0)
    assert hit is not None
    assert "Acme/NewThing" in hit.raw
    assert "Level=7" in hit.raw
    assert states.take(_told("Acme/NewThing", Level="8", after_s=1), 1.0) is None
    assert states.unknown == {"Acme/NewThing": 2}


def test_a_lost_camera_ends_what_nobody_knows_any_more():
    states = CameraStates()
    states.take(_told("RuleEngine/TamperDetector/Tamper", IsTamper="true"), 0.0)
    assert [hit.reason for hit in states.lost()] == ["camera-lost"]


def test_quirks_go_by_maker_model_and_firmware():
    assert quirks_of("TP-Link", "C320", "1.0").pull_s == 5.0
    assert quirks_of("Reolink", "x", "").no_renew
    assert quirks_of("Somebody", "", "") == quirks_of("", "", "")


def _input(holds, operation=Operation.CHANGED, after_s=0.0):
    level = str(holds).lower()
    topic = "Device/Trigger/DigitalInput"
    return _told(topic, operation, after_s, LogicalState=level)


def test_presses_within_one_second_of_the_camera_or_of_a_clock_that_stands_still_all_count():
    states = CameraStates(frozenset({"1"}))
    hits = [states.take(_input(holds), now) for now, holds in enumerate([True, False] * 3)]
    assert [hit and hit.turn for hit in hits] == [Turn.BEGAN, Turn.ENDED] * 3
    assert states.take(_input(False), 7.0) is None
    assert states.doubled_total == 1


def test_after_it_was_told_as_state_a_press_of_a_clock_that_stands_still_is_one():
    states = CameraStates(frozenset({"1"}))
    assert states.take(_input(True), 0.0) is not None
    states.take(_input(False, Operation.INITIALIZED), 1.0)
    hit = states.take(_input(True), 2.0)
    assert hit is not None
    assert hit.turn is Turn.BEGAN


def test_the_first_word_of_an_input_may_be_that_it_is_off():
    states = CameraStates(frozenset({"1"}))
    off = _input(False)
    assert states.take(off, 0.0) is None
    assert states.input_of(off) == ("1", False)
    gone = _told("Device/Trigger/DigitalInput", Operation.DELETED, source="2", LogicalState="false")
    assert states.take(gone, 0.0) is None
    assert states.input_of(gone) is None  # nobody said how it is
