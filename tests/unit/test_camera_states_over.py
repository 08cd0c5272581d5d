"""A state whose end is never told is over by time, and begins anew when it is told anew."""

from datetime import UTC, datetime, timedelta

import pytest

from agent.cameras.camera_states import CameraStates, Turn
from agent.cameras.notifications import Notification, Operation

_AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
_PERSON = "RuleEngine/MyRuleDetector/PeopleDetect"
_MOTION = "VideoSource/MotionAlarm"


class _Camera:
    """Tells one topic, as often as wanted."""

    def __init__(self, topic):
        self.states, self.topic = CameraStates(), topic

    def tells(self, now_s, holds, operation=Operation.CHANGED):
        items = (("State", str(holds).lower()),)
        at = _AT + timedelta(seconds=now_s)
        return self.states.take(
            Notification(self.topic, (("Source", "1"),), items, operation, at), now_s
        )

    def is_asked(self, now_s, holds):
        return self.tells(now_s, holds, Operation.INITIALIZED)

    @property
    def is_on(self):
        return next(iter(self.states._states.values())).is_on


@pytest.mark.parametrize("operation", [Operation.CHANGED, Operation.INITIALIZED])
def test_motion_that_raises_nothing_is_over_by_time(operation):
    camera = _Camera(_MOTION)
    assert camera.tells(0.0, True, operation) is None
    assert camera.is_on
    assert camera.states.tick(59.0) == ()
    assert camera.is_on
    assert camera.states.tick(61.0) == ()
    assert not camera.is_on


def test_what_held_when_we_came_and_never_ends_begins_when_it_is_told_anew():
    camera = _Camera(_PERSON)
    assert camera.is_asked(0.0, True) is None
    assert camera.tells(10.0, True) is None
    assert camera.states.tick(71.0) == ()
    hit = camera.tells(80.0, True)
    assert hit is not None
    assert hit.turn is Turn.BEGAN


def test_a_camera_that_never_tells_an_end_cannot_keep_a_state_alive_by_being_asked():
    camera = _Camera(_PERSON)
    assert camera.tells(0.0, True) is not None
    for at_s in (20.0, 40.0, 59.0):
        camera.is_asked(at_s, True)
    assert [hit.reason for hit in camera.states.tick(61.0)] == ["timed-out"]
    assert camera.is_asked(90.0, True) is None
    hit = camera.tells(100.0, True)
    assert hit is not None
    assert hit.turn is Turn.BEGAN


def test_a_camera_that_does_tell_ends_is_believed_when_asked():
    camera = _Camera(_PERSON)
    camera.is_asked(0.0, False)
    camera.tells(1.0, True)
    for at_s in (50.0, 100.0, 150.0):
        assert camera.is_asked(at_s, True).turn is Turn.GOES_ON
    assert {hit.turn for hit in camera.states.tick(180.0)} == {Turn.GOES_ON}
    assert camera.tells(190.0, False).turn is Turn.ENDED
