"""A move that is to end ends, however long the camera was away meanwhile."""

import pytest

from agent.cameras import ptz_stopper
from agent.cameras.port import CameraNotSupported, CameraUnreachable, CameraWrongPassword
from agent.cameras.ptz_stopper import PtzStopper
from agent.core.clock import SystemClock
from tests.simulated_onvif import eventually


class Head:
    """Takes no Stop as long as it has trouble."""

    def __init__(self, trouble):
        self.trouble, self.tried, self.stands = trouble, 0, False

    def stop(self):
        self.tried += 1
        if self.trouble is not None:
            raise self.trouble
        self.stands = True


@pytest.fixture
def stopping(monkeypatch):
    monkeypatch.setattr(ptz_stopper, "_RETRY_S", 0.01)
    monkeypatch.setattr(ptz_stopper, "_SLOW_RETRY_S", 0.02)
    made = []

    def make(head):
        stopper = PtzStopper(lambda: head, SystemClock(), lambda: None)
        made.append(stopper)
        return stopper

    yield make
    for stopper in made:
        stopper.close()
        stopper._thread.join()


@pytest.mark.parametrize("trouble", [CameraUnreachable, CameraWrongPassword])
async def test_a_stop_is_tried_until_a_camera_takes_it(stopping, trouble):
    head = Head(trouble("away"))
    stopper = stopping(head)
    stopper.arm(0.0)
    await eventually(lambda: stopper.is_in_vain and head.tried > 10)
    head.trouble = None
    await eventually(lambda: head.stands)
    await eventually(lambda: not stopper.is_armed)
    assert not stopper.is_in_vain


async def test_what_trying_again_does_not_mend_is_tried_once(stopping):
    head = Head(CameraNotSupported("it has no motor"))
    stopper = stopping(head)
    stopped = stopper.request()
    await eventually(stopped.done)
    assert isinstance(stopped.exception(), CameraNotSupported)
    assert not stopper.is_armed
    assert head.tried == 1
