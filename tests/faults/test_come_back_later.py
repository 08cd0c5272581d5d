"""A center that takes its broker away says when to come back, and boxes come spread out."""

import asyncio
import time

import pytest

from agent.core.clock import SystemClock
from agent.core.errors import LinkError
from agent.settings.model import BrokerSettings
from agent.simulators.broker import CENTER
from agent.uplink.backoff import Backoff, Hint
from agent.uplink.endpoint import Endpoint, asks_to_wait
from agent.uplink.link import Link
from tests.brokers import Mosquitto
from tests.fake_clock import FakeClock
from tests.spine import ADDRESS, QUICK, Box, eventually, make_center, running


def waits(clock, after_s, count=200):
    found = []
    for _ in range(count):
        hint = Hint(clock)
        hint.said(after_s)
        found.append(hint.wait_s())
    return found


def test_boxes_that_were_told_the_same_come_back_spread_out():
    found = waits(FakeClock(), 120.0)
    assert min(found) >= 120.0
    assert max(found) <= 240.0
    assert max(found) - min(found) > 60.0


def test_the_word_holds_once_and_not_for_ever():
    clock = FakeClock()
    hint = Hint(clock)
    hint.said(60.0)
    assert hint.wait_s() > 0
    assert hint.wait_s() == 0
    hint.said(60.0)
    hint.said(None)
    assert hint.wait_s() == 0
    hint.said(60.0)
    clock.pass_s(1000.0)
    assert hint.wait_s() == 0


async def test_a_box_obeys_the_centers_word_when_the_broker_goes(tmp_path):
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    box = Box(tmp_path, broker.settings("box-1"))
    box.inbound.on_back = box.link.come_back_after
    try:
        async with running(make_center(tmp_path, broker.settings(CENTER))) as center, running(box):
            await box.link.connected()

            async def is_known():
                return bool(await center.boxes())

            async def is_told():
                return box.link._hint._after_s > 0

            await eventually(is_known)
            await center.come_back_after(5.0)
            await eventually(is_told)
            lost_s = time.monotonic()
            await broker.kill()
            await broker.start()
            while box.link.status.connected:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            await box.link.connected()
            assert QUICK.cap_s < 1.0  # by itself it would have been back at once
            assert time.monotonic() - lost_s >= 5.0
            assert center.link() == ""
    finally:
        await broker.stop()


@pytest.mark.parametrize(("code", "waits"), [(3, True), (5, False), (2, False)])
async def test_a_broker_that_is_not_ready_is_given_time(code, waits, tmp_path):
    async def answer(reader, writer):
        await reader.read(100)
        writer.write(bytes([0x20, 2, 0, code]))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = Mosquitto(tmp_path / "broker", [ADDRESS]).settings("box-1")
    link = Box(tmp_path, settings, clock=SystemClock()).link
    async with server:
        with pytest.raises(LinkError) as refused:
            await link._enter(Endpoint("127.0.0.1", port, tls=False))
    assert asks_to_wait(refused.value) is waits


def make_link(tmp_path, urls, clock, **more):
    return Link(
        clock,
        BrokerSettings(urls=urls),
        "box-1",
        greeter=Box(tmp_path, BrokerSettings(urls=urls)).presence,
        subscriptions=(),
        received=None,
        **more,
    )


async def told_to_wait(reader, writer):
    await reader.read(100)
    writer.write(bytes([0x20, 2, 0, 3]))
    await writer.drain()
    writer.close()


async def test_one_broker_that_is_not_ready_sends_the_box_to_the_others_first(tmp_path):
    server = await asyncio.start_server(told_to_wait, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"mqtt://127.0.0.1:{port}"
    backoff = Backoff(first_s=1.0, cap_s=60.0)
    link = make_link(tmp_path, (url,), SystemClock(), backoff=backoff)
    async with server:
        with pytest.raises(LinkError) as refused:
            await link._enter(Endpoint("127.0.0.1", port, tls=False))
    link._urls = ["mqtt://other"]
    assert link._wait_s(refused.value, 5) <= 1.0
    link._urls = []
    assert link._wait_s(LinkError("link.unreachable", "Gone.", retryable=True), 1) >= 30.0


async def test_a_change_of_line_keeps_the_centers_word_for_later(tmp_path):
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    box = Box(tmp_path, broker.settings("box-1"))
    try:
        async with running(box):
            first = await box.link.connected()
            box.link.come_back_after(600.0)
            box.link.connect_anew()

            async def is_anew():
                return box.link.status.connected and box.link.status.connects_total > first

            await eventually(is_anew)
            assert box.link._hint.wait_s() >= 600.0
    finally:
        await broker.stop()


@pytest.mark.parametrize("has_alarm", [True, False])
async def test_an_alarm_does_not_wait_for_the_centers_word(has_alarm, tmp_path):
    clock, asked = FakeClock(), []

    async def has_alarms():
        asked.append(clock.monotonic_s())
        return has_alarm

    link = make_link(
        tmp_path, ("mqtt://x",), clock, backoff=Backoff(cap_s=60.0), has_alarms=has_alarms
    )
    async with asyncio.TaskGroup() as tasks:
        resting = tasks.create_task(link._rest(200.0))
        await clock.rests()
        for _ in range(4):
            await clock.advance(50.0)
        await eventually(lambda: is_done(resting))
    assert len(asked) == (1 if has_alarm else 3)


async def is_done(task):
    return task.done()
