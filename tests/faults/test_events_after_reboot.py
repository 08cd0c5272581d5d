"""After a camera's absence events flow again within 15 seconds, by one subscription.

The feed's own pauses are the only thing it waits for by the clock, so they are counted, at their
longest, instead of measured: no figure here depends on the machine.
"""

import asyncio
import threading

import pytest

from agent.cameras.event_feed import EventFeed
from agent.cameras.line import OnvifLine
from agent.cameras.port import CameraFailure
from agent.cameras.push_point import PushPoint
from agent.core.clock import SystemClock
from agent.core.retry import Backoff
from agent.simulators.camera.onvif_events import DIGITAL_INPUT
from tests.simulated_onvif import LOGIN, eventually, running_camera

_CLOCK = SystemClock()
_TIMES_FASTER = 20.0
_BAR_S = 15.0


class Hurried(threading.Event):
    """What the feed pauses at: notes for how long, and lets time pass faster."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses_s.append(timeout or 0.0)
        return super().wait((timeout or 0.0) / _TIMES_FASTER)


def _unlucky(backoff: Backoff) -> Backoff:
    """Return one whose every delay is as long as chance can make it."""
    longest = 1 + backoff._jitter
    return Backoff(backoff._first_s * longest, backoff._cap_s * longest, jitter=0.0)


async def _press_until_heard(device, heard: list[object]) -> None:
    before = len(heard)
    async with asyncio.timeout(60):
        while len(heard) == before:
            device.fire(DIGITAL_INPUT, {"InputToken": "1"}, {"LogicalState": "true"})
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("away_s", [0.2, 4.0], ids=["a moment", "over a minute"])
async def test_events_flow_again_soon_after_an_absence_by_one_subscription(away_s):
    async with running_camera() as device:
        heard, hurried = [], Hurried()
        feed = EventFeed(OnvifLine(device.url, LOGIN, _CLOCK), _CLOCK, heard.extend)
        feed._stop, feed._backoff = hurried, _unlucky(feed._backoff)
        feed.start()
        await _press_until_heard(device, heard)

        device.reboot(away_s, new_epr=True)
        await eventually(lambda: not device.ready.is_set())
        await eventually(device.ready.is_set)
        begun, opened = len(hurried.pauses_s), device.events.opened_total
        await _press_until_heard(device, heard)
        waited_s = sum(hurried.pauses_s[max(0, begun - 1) :])

        assert waited_s <= _BAR_S
        assert device.events.opened_total == opened + 1
        assert len(device.events.live(device.now())) == 1
        await asyncio.to_thread(feed.stop, 20.0)


async def test_a_camera_that_pushes_and_was_away_is_asked_before_it_is_waited_for_again():
    async with running_camera() as device:
        line = OnvifLine(device.url, LOGIN, _CLOCK)
        point = await asyncio.to_thread(PushPoint.open, line, _CLOCK)
        device.events.forget_all()  # it started anew
        for wait_s in (0.01, 3600.0):
            async with asyncio.timeout(60):
                with pytest.raises(CameraFailure):
                    await asyncio.to_thread(point.pull, wait_s)
        with pytest.raises(CameraFailure):
            await asyncio.to_thread(point.close)
        line.close()
