"""A camera that keeps our subscription and tells it nothing more is noticed, and heard again."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from agent.cameras.event_feed import EventFeed
from agent.cameras.hearing import ANSWER_S, QUIET_S, SYNCHRONISE_S, Hearing, Verdict
from agent.cameras.line import OnvifLine
from agent.core.clock import SystemClock
from agent.simulators.camera.onvif_events import DIGITAL_INPUT
from tests.simulated_onvif import LOGIN, ShiftedClock, eventually, running_camera


@asynccontextmanager
async def _feed(device):
    """A feed whose patience a test can shorten; its line keeps to the real time."""
    clock, heard = ShiftedClock(), []
    line = OnvifLine(device.url, LOGIN, SystemClock(), call_s=3.0)
    feed = EventFeed(line, clock, heard.extend, pull_s=1.0)
    feed.heard, feed.clock = heard, clock
    feed.start()
    try:
        yield feed
    finally:
        await asyncio.to_thread(feed.stop, 20.0)


def _press(device, number: str) -> None:
    device.fire(DIGITAL_INPUT, {"InputToken": number}, {"LogicalState": "true"})


def _is_told(feed, number: str) -> bool:
    return any(("InputToken", number) in message.source for message in feed.heard)


async def _time_goes_on(feed, until) -> None:
    """Let the feed believe that time flies until something holds."""
    async with asyncio.timeout(60):
        while not until():
            feed.clock.shift_s += 5.0
            await asyncio.sleep(0.3)


async def test_a_slot_that_another_client_took_in_silence_is_noticed_and_opened_anew():
    async with running_camera(max_pull_points=1) as device:
        device.faults.slot_limit = "deafen"
        _press(device, "1")
        async with _feed(device) as feed:
            await eventually(lambda: _is_told(feed, "1"))
            device.events.subscribe(device.now(), 600.0, "deafen")  # somebody else comes
            _press(device, "2")
            await _time_goes_on(feed, lambda: feed.status.opened_total > 1)
            device.faults.slot_limit = "evict"
            await _time_goes_on(feed, lambda: feed.status.is_live and _is_told(feed, "2"))


async def test_an_evicted_slot_is_opened_anew():
    async with running_camera(max_pull_points=1) as device:
        device.faults.slot_limit = "evict"
        _press(device, "1")
        async with _feed(device) as feed:
            await eventually(lambda: _is_told(feed, "1"))
            other = device.events.subscribe(device.now(), 600.0, "evict")
            await eventually(lambda: other not in device.events.points, within_s=60)
            _press(device, "2")
            await eventually(lambda: _is_told(feed, "2"), within_s=60)
            assert len(device.events.live(device.now())) == 1


async def test_a_slot_that_is_deaf_from_its_start_is_given_back_until_one_hears():
    async with running_camera(max_pull_points=1) as device:
        _press(device, "1")
        async with _feed(device) as feed:
            await eventually(lambda: _is_told(feed, "1"))
            device.faults.slot_limit = "silent"
            device.events.points.clear()
            taken = device.events.subscribe(device.now(), 600.0)
            await _time_goes_on(feed, lambda: not feed.status.is_live)
            _press(device, "2")
            device.events.points.pop(taken, None)
            await _time_goes_on(feed, lambda: feed.status.is_live and _is_told(feed, "2"))


async def test_where_pull_points_prove_deaf_the_camera_is_told_to_push():
    async with running_camera() as device:
        device.faults.pull_is_deaf = True
        _press(device, "1")
        async with _feed(device) as feed:
            await _time_goes_on(feed, lambda: _is_told(feed, "1"))
            assert any(point.push_to for point in device.events.points.values())
            _press(device, "2")
            await eventually(lambda: _is_told(feed, "2"))
            assert len(device.events.live(device.now())) == 1


def test_a_silent_camera_is_asked_and_one_that_never_answered_is_left_alone_after_both_ways():
    hearing = Hearing()
    hearing.opened(0.0)
    assert hearing.look(ANSWER_S) is Verdict.IN_DOUBT
    hearing.opened(20.0)
    assert hearing.look(20.0 + ANSWER_S) is Verdict.IN_DOUBT
    hearing.opened(40.0)
    for now_s in range(56, 400, 16):
        assert hearing.look(float(now_s)) in (Verdict.FINE, Verdict.ASK)


def test_a_camera_that_talks_is_asked_seldom_and_one_that_is_silent_soon():
    hearing = Hearing()
    hearing.opened(0.0)
    hearing.heard(1.0)
    assert hearing.look(QUIET_S) is Verdict.FINE
    assert hearing.look(QUIET_S + 1.0) is Verdict.ASK
    hearing.heard(QUIET_S + 2.0)
    for now_s in range(40, int(SYNCHRONISE_S), 10):
        hearing.heard(float(now_s))
        assert hearing.look(float(now_s)) is Verdict.FINE
    assert hearing.look(SYNCHRONISE_S + QUIET_S + 2.0) is Verdict.ASK
    assert hearing.look(SYNCHRONISE_S + QUIET_S + ANSWER_S + 2.0) is Verdict.DEAF


@pytest.mark.parametrize("has_states", [True, False])
async def test_a_camera_without_a_word_is_only_suspected_where_it_has_states_to_tell(has_states):
    async with running_camera() as device, _feed(device) as feed:
        device.faults.omits_optional = not has_states
        await eventually(lambda: feed.status.is_live)
        feed.clock.shift_s += 20.0
        if has_states:
            await eventually(lambda: feed.status.opened_total > 1)
        else:
            pulls = feed.status.pulls_total
            await eventually(lambda: feed.status.pulls_total > pulls + 2)
            assert feed.status.opened_total == 1
