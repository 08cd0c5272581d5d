"""Who hears a camera's message finds the camera told as heard, also after an outage."""

import threading
from types import SimpleNamespace

from agent.cameras.event_feed import EventFeed
from agent.cameras.notifications import Notification, Operation
from agent.cameras.port import CameraUnreachable
from agent.cameras.pull_point import Reference
from agent.core.clock import SystemClock

PRESS = Notification("Device/Trigger/DigitalInput", (), (), Operation.CHANGED, None)
PATIENCE_S = 30.0


class PointAfterAnOutage:
    """Can't be reached twice, then tells of a press."""

    reference = Reference(url="http://camera/events")

    def __init__(self, end):
        self._pulls, self._end = 0, end

    def pull(self, wait_s):
        self._pulls += 1
        if self._pulls <= 2:
            raise CameraUnreachable("no answer")
        if self._pulls > 3:
            self._end.wait(PATIENCE_S)
            return ()
        return (PRESS,)

    def keep(self): ...

    def synchronise(self): ...

    def close(self): ...


def test_the_first_message_after_an_outage_finds_the_camera_live():
    told, end = threading.Event(), threading.Event()
    lives = []

    def deliver(messages):
        lives.append((feed.status.is_live, messages))
        told.set()

    line = SimpleNamespace(has=lambda _: True, close=lambda: None)
    feed = EventFeed(
        line, SystemClock(), deliver, open_point=lambda: PointAfterAnOutage(end), topics=()
    )
    feed.start()
    assert told.wait(PATIENCE_S)
    end.set()
    feed.stop(wait=PATIENCE_S)
    assert lives == [(True, (PRESS,))]
