"""A center that takes its broker away says when to come back, and boxes come spread out."""

import asyncio
import time

import pytest

from agent.core.clock import SystemClock
from agent.core.errors import LinkError
from agent.simulators.broker import CENTER
from agent.uplink.backoff import Hint
from agent.uplink.endpoint import Endpoint, asks_to_wait
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
