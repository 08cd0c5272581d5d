"""Events flow whatever a camera does with subscriptions, and never is a second one left."""

import asyncio
import gc
from contextlib import asynccontextmanager

import psutil
import pytest

from agent.cameras import media, overlays
from agent.cameras.camera_states import CameraStates, Turn
from agent.cameras.event_feed import EventFeed
from agent.cameras.line import OnvifLine
from agent.core.clock import SystemClock
from agent.simulators.camera.onvif_events import DIGITAL_INPUT, MOTION
from tests.simulated_onvif import LOGIN, eventually, running_camera

_CLOCK = SystemClock()


@asynccontextmanager
async def _feed(device, *, pull_s: float = 2.0):
    heard = []
    line = OnvifLine(device.url, LOGIN, _CLOCK, call_s=2.0)
    feed = EventFeed(line, _CLOCK, heard.extend, pull_s=pull_s)
    feed.heard = heard
    feed.start()
    try:
        yield feed
    finally:
        await asyncio.to_thread(feed.stop, 20.0)


async def _is_heard(device, feed, number: str) -> None:
    """Press input `number` until it is told, as an event may fall between two subscriptions."""

    def told() -> bool:
        return any(("InputToken", number) in message.source for message in feed.heard)

    async with asyncio.timeout(30):
        while not told():
            device.fire(DIGITAL_INPUT, {"InputToken": number}, {"LogicalState": "true"})
            await asyncio.sleep(0.2)


async def test_after_a_reboot_events_flow_again_with_one_subscription():
    async with running_camera() as device, _feed(device) as feed:
        await _is_heard(device, feed, "1")
        device.reboot(1.0, new_epr=True)
        await eventually(lambda: not feed.status.is_live)
        await _is_heard(device, feed, "2")
        assert len(device.events.live(device.now())) == 1
    assert not device.events.points


@pytest.mark.parametrize(
    "fault",
    [
        {"knows_no_pull_point": True},
        {"fails_renew": True},
        {"other_port": True},
        {"foreign_xaddr": "http://0.0.0.0"},
        {"slow_s": {"PullMessages": 0.5}},
        {"nonce_once": True},
        {"omits_optional": True},
        {"undeclared_prefix": True},
    ],
    ids=lambda fault: next(iter(fault)),
)
async def test_events_are_heard_in_spite_of(fault):
    async with running_camera() as device:
        for name, value in fault.items():
            setattr(device.faults, name, value)
        async with _feed(device) as feed:
            await _is_heard(device, feed, "1")
            assert len(device.events.live(device.now())) == 1


@pytest.mark.parametrize(
    "fault",
    [
        "expires_at_once",
        "empty_200",
        "html_401",
        pytest.param("silent", marks=pytest.mark.long),  # its deadlines take half a minute
    ],
)
async def test_a_camera_that_recovers_is_heard_again(fault):
    async with running_camera() as device, _feed(device) as feed:
        await _is_heard(device, feed, "1")
        setattr(device.faults, fault, True)
        device.events.forget_all()
        await eventually(lambda: not feed.status.is_live)
        setattr(device.faults, fault, False)
        if fault == "html_401":  # a refused login rests for minutes, by rule
            return
        await _is_heard(device, feed, "2")
        await eventually(lambda: len(device.events.live(device.now())) == 1)


async def test_a_free_slot_is_taken_as_soon_as_there_is_one():
    async with running_camera(max_pull_points=1) as device:
        other = device.events.subscribe(device.now(), 60.0)
        async with _feed(device) as feed:
            await eventually(lambda: feed.status.code == "camera.bad_response")
            del device.events.points[other]
            await _is_heard(device, feed, "1")


@pytest.mark.parametrize("dialect", ["onvif", "tp-link", "reolink", "axis", "hikvision"])
async def test_motion_is_understood_in_all_dialects(dialect):
    async with running_camera() as device, _feed(device) as feed:
        device.faults.dialect = dialect
        await eventually(lambda: feed.status.is_live)
        device.fire(MOTION, {"Source": "0"}, {"IsMotion": "true"})
        await eventually(lambda: feed.heard)
        states = CameraStates()
        hits = [states.take(message, 0.0) for message in feed.heard]
        assert not states.unknown
        assert all(hit is None or hit.turn is Turn.BEGAN for hit in hits)


async def test_texts_and_masks_are_read_back():
    async with running_camera(media2=True) as device:

        def visit() -> None:
            line = OnvifLine(device.url, LOGIN, _CLOCK)
            assert overlays.set_text(line, "osd-1", "Pole 7 <north>") == "Pole 7 <north>"
            polygon = ((0.1, 0.1), (0.5, 0.1), (0.5, 0.4))
            mask = overlays.add_mask(line, polygon)
            assert [round(c, 3) for point in mask.polygon for c in point] == [
                c for point in polygon for c in point
            ]
            overlays.remove_mask(line, mask.token)
            assert overlays.masks(line) == ()
            assert media.profiles(line)
            line.close()

        await asyncio.to_thread(visit)


async def _reconnect(device, times: int) -> tuple[int, int]:
    """Connect again and again; return how many descriptors and bytes more there are after."""
    process = psutil.Process()

    def some(count: int) -> None:
        for _ in range(count):
            line = OnvifLine(device.url, LOGIN, _CLOCK)
            line.services()
            line.close()

    await asyncio.to_thread(some, times // 5)
    gc.collect()
    fds, rss = process.num_fds(), process.memory_info().rss
    await asyncio.to_thread(some, times)
    gc.collect()
    return process.num_fds() - fds, process.memory_info().rss - rss


async def test_reconnecting_leaks_nothing():
    async with running_camera() as device:
        fds, more_bytes = await _reconnect(device, 100)
    assert fds <= 5  # the simulator's ends, which close a moment later, are in this process too
    assert more_bytes < 12 * 1024 * 1024


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_thousand_reconnects_leak_nothing():
    async with running_camera() as device:
        fds, more_bytes = await _reconnect(device, 1000)
    assert fds <= 5
    assert more_bytes < 12 * 1024 * 1024
