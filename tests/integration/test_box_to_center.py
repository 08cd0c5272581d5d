"""An event queued on the box is stored at the center exactly once, over both real brokers."""

import asyncio

import pytest

from agent.contract.events import Phase
from agent.contract.topics import BoxAddress, Channel
from agent.simulators.broker import CENTER
from agent.uplink.link import Outgoing
from tests.brokers import make_broker
from tests.spine import ADDRESS, A, Box, E, eventually, make_center, running, stored

TWO = [ADDRESS, BoxAddress("site-1", "box-2")]


@pytest.fixture(params=["mosquitto", "nats"])
async def broker(request, tmp_path):
    broker = make_broker(request.param, tmp_path / "broker", TWO)
    await broker.start()
    yield broker
    await broker.stop()


async def test_events_are_stored_once_and_in_order(broker, tmp_path):
    box = Box(tmp_path, broker.settings("box-1"))
    async with running(make_center(tmp_path, broker.settings(CENTER))) as center, running(box):
        for n in range(300):
            await box.say(A if n % 10 == 0 else E)
        await box.all_acknowledged()
        found = await stored(center)
        for stream, count in ((A, 30), (E, 270)):
            assert [seq for _, s, seq in found if s == stream] == list(range(1, count + 1))
        rows = await box.outbox.deliveries(A)
        assert all(row.acked_mono_s >= row.queued_mono_s >= row.true_mono_s for row in rows)


async def test_two_boxes_do_not_mix(broker, tmp_path):
    first = Box(tmp_path / "1", broker.settings("box-1"))
    second = Box(tmp_path / "2", broker.settings("box-2"), TWO[1])
    async with (
        running(make_center(tmp_path, broker.settings(CENTER))) as center,
        running(first),
        running(second),
    ):
        await asyncio.gather(*(box.say() for box in (first, second) for _ in range(50)))
        await first.all_acknowledged()
        await second.all_acknowledged()
        for address in TWO:
            assert len(await stored(center, address)) == 50


async def test_what_one_box_says_in_rubbish_keeps_the_center_from_no_other(broker, tmp_path):
    first = Box(tmp_path / "1", broker.settings("box-1"))
    second = Box(tmp_path / "2", broker.settings("box-2"), TWO[1])
    beyond = b'{"kind":"gap","stream":"e","epoch":"x","seq":1,"until_seq":%d}' % 2**70
    center = make_center(tmp_path, broker.settings(CENTER))
    async with running(center), running(first), running(second):
        await center._link.connected()
        await first.link.connected()
        for payload in (b'{"x":' + b"[" * 4000, beyond, b"[" + beyond + b"]"):
            await first.link.publish(Outgoing(ADDRESS.topic(Channel.EVENT), payload))
        await second.say()
        await second.all_acknowledged()
        assert center._link.status.connects_total == 1


async def test_the_center_sees_who_is_there_and_how_it_does(broker, tmp_path):
    box = Box(tmp_path, broker.settings("box-1"))

    async def is_seen(online):
        views = await center.boxes()
        return bool(views) and views[0].online is online and views[0].telemetry is not None

    async with running(make_center(tmp_path, broker.settings(CENTER))) as center:
        async with running(box):
            await box.say()
            await eventually(lambda: is_seen(True))
            view = (await center.boxes())[0]
            assert view.info.commands == ("ping",)
            assert view.telemetry.outbox.queued_total == 1
        await eventually(lambda: is_seen(False))


async def test_a_box_may_start_before_the_broker_and_the_center(broker, tmp_path):
    await broker.stop()
    box = Box(tmp_path, broker.settings("box-1"))
    async with running(box):
        await box.say(A, Phase.NEW)
        await eventually(lambda: _code(box, "link.unreachable"))
        await broker.start()
        async with running(make_center(tmp_path, broker.settings(CENTER))) as center:
            await box.all_acknowledged()
            assert len(await stored(center)) == 1


async def _code(box, code):
    return box.link.status.error is not None and box.link.status.error.code == code
