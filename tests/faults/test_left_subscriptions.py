"""What a crash leaves subscribed is closed by the next run, however long ago it was opened."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

from agent.cameras.event_feed import EventFeed
from agent.cameras.line import OnvifLine
from agent.cameras.pull_point import PullPoint, Reference
from agent.core.clock import SystemClock
from agent.simulators.camera.onvif_events import MOTION
from tests.simulated_onvif import LOGIN, ShiftedClock, eventually, running_camera


class _LaterClock(ShiftedClock):
    """Also the time of day is moved on."""

    def utc_now(self):
        return super().utc_now() + timedelta(seconds=self.shift_s)


@asynccontextmanager
async def _feed(device, clock, left=None):
    kept = []
    line = OnvifLine(device.url, LOGIN, SystemClock(), call_s=2.0)
    feed = EventFeed(line, clock, lambda _: None, remember=kept.append, left=left, pull_s=1.0)
    feed.start()
    try:
        await eventually(lambda: feed.status.pulls_total >= 2)
        yield kept
    finally:
        await asyncio.to_thread(feed.stop, 20.0)


async def _left_behind(device, clock) -> Reference:
    """Return what was kept of a subscription that is renewed for long, then left by a crash."""
    device.fire(MOTION, {"Source": "0"}, {"IsMotion": "true"})  # a state it can tell when asked
    async with _feed(device, clock) as kept:
        clock.shift_s = 3600.0
        await eventually(lambda: len(kept) >= 2)
    crashed = kept[-2]  # the last is that it was given back
    device.events.subscribe(device.now(), 60.0)  # as if nobody had given it back
    again = f"{crashed.url.rpartition('/')[0]}/{next(iter(device.events.points))}"
    return Reference(url=again, parameters=crashed.parameters, until=crashed.until)


async def test_one_opened_an_hour_ago_and_renewed_since_is_closed():
    async with running_camera() as device:
        clock = _LaterClock()
        left = await _left_behind(device, clock)
        assert list(device.events.points) == [left.url.rpartition("/")[2]]
        clock.shift_s += 300.0  # the box needed so long to come back
        async with _feed(device, clock, left):
            assert left.url.rpartition("/")[2] not in device.events.points
            assert len(device.events.points) == 1


async def test_one_that_ended_by_itself_long_ago_is_left_alone():
    """Its number may be somebody else's by now."""
    async with running_camera() as device:
        clock = _LaterClock()
        left = await _left_behind(device, clock)
        clock.shift_s += 86_400.0
        async with _feed(device, clock, left):
            assert left.url.rpartition("/")[2] in device.events.points


async def test_what_is_kept_is_written_seldom():
    async with running_camera() as device, _feed(device, _LaterClock()) as kept:
        before = device.calls.count("PullMessages")
        await eventually(lambda: device.calls.count("PullMessages") > before + 2)
        assert len(kept) == 1
        line = OnvifLine(device.url, LOGIN, SystemClock())
        point = PullPoint(line, kept[0], SystemClock())
        await asyncio.to_thread(point.renew)
        line.close()
