"""What the center says of a box is true, whatever gets lost or comes late on the way."""

import asyncio
import signal
import sys
from datetime import timedelta
from functools import partial

import msgspec
import pytest

from agent.contract.presence import State
from agent.contract.topics import Channel
from agent.core.clock import SystemClock
from agent.simulators.broker import CENTER
from agent.simulators.center import boxes
from agent.simulators.center.center import Center, CenterConfig
from agent.uplink.backoff import Backoff
from agent.uplink.link import Outgoing
from tests.brokers import Mosquitto
from tests.spine import ADDRESS, Box, eventually, make_center, running

NOW = SystemClock().utc_now()


class Watched:
    """A center over its store, told states by hand."""

    def __init__(self, center):
        self.center = center

    async def tell(self, after_s=0.0, **state):
        seen = State(t=NOW + timedelta(seconds=state["conn"] / 1000), **state)
        at = NOW + timedelta(seconds=after_s)
        saw = partial(boxes.saw_state, address=ADDRESS, state=seen, now=at)
        await self.center._db.run(saw)

    async def online(self, after_s=0.0, silent_s=10.0):
        at, patience = NOW + timedelta(seconds=after_s), boxes.Patience(30.0, silent_s)
        (view,) = await self.center._db.run(lambda c: boxes.views(c, {}, at, patience, NOW))
        return view.online


async def test_late_wills_and_queued_news_do_not_hide_the_truth(tmp_path):
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    center = make_center(tmp_path, broker.settings(CENTER))
    async with running(center):
        seen = Watched(center)
        await seen.tell(online=True, boot=1, conn=2000)
        await seen.tell(online=False, boot=1, conn=1000)  # the will of the connection before
        assert await seen.online()
        await seen.tell(online=False, boot=1, conn=2000, bye=True)
        await seen.tell(online=True, boot=1, conn=1000)  # waited in a queue
        assert not await seen.online()
        assert [s.until is None for s in await center.sessions(ADDRESS)] == [False]


async def test_a_short_absence_is_none_and_silence_is_absence(tmp_path):
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    center = make_center(tmp_path, broker.settings(CENTER))
    async with running(center):
        seen = Watched(center)
        await seen.tell(online=True, boot=1, conn=1000, beat_s=30.0)
        assert await seen.online(after_s=54)
        assert not await seen.online(after_s=56)  # it promised to be heard every 30 s
        await seen.tell(60, online=False, boot=1, conn=1000)
        assert await seen.online(after_s=89)
        assert not await seen.online(after_s=91)


async def test_presence_is_true_soon_after_the_broker_was_killed_again_and_again(tmp_path):
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    try:
        async with running(make_center(tmp_path, broker.settings(CENTER))) as center:

            async def is_said(online):
                views = await center.boxes()
                return bool(views) and views[0].online is online

            for _ in range(3):
                box = Box(tmp_path, broker.settings("box-1"))
                async with running(box):
                    await eventually(partial(is_said, True))
                    await broker.kill()
                    await broker.start()
                    await eventually(partial(is_said, True))
                    await broker.kill()  # the box ends while nobody can hear it
                await broker.start()
                await eventually(partial(is_said, False))
    finally:
        await broker.stop()


async def test_a_will_put_over_the_retained_state_is_put_right(tmp_path):
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    try:
        box = Box(tmp_path, broker.settings("box-1"))
        async with running(box):
            await box.link.connected()
            late = State(online=False, boot=1, conn=1)
            topic = ADDRESS.topic(Channel.STATE)
            await box.link.publish(Outgoing(topic, msgspec.json.encode(late), retain=True))
            await asyncio.sleep(0.6)
            async with running(make_center(tmp_path, broker.settings(CENTER))) as center:

                async def is_online():
                    views = await center.boxes()
                    return bool(views) and views[0].online

                await eventually(is_online)
    finally:
        await broker.stop()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["wired", "lte"])
async def test_a_box_that_dies_without_a_word_is_missed_within_a_minute(kind, tmp_path, capsys):
    """At the shipped defaults of both sides: its socket stays open, and nothing comes any more."""
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    linked = msgspec.structs.replace(broker.settings("box-1"), link=kind)
    settings = msgspec.json.encode(linked).decode()
    box = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.voice_process", str(tmp_path / "box"), settings),
        *("1", "0", "3600"),
        stdout=asyncio.subprocess.DEVNULL,
    )
    patience = boxes.Patience(silent_s=1e6)  # only the will may tell: samples come every 300 s
    center = Center(
        CenterConfig(tmp_path, broker.settings(CENTER), patience=patience), SystemClock()
    )

    async def is_said(online):
        views = await center.boxes()
        return bool(views) and views[0].online is online

    try:
        async with running(center):
            await eventually(partial(is_said, True))
            box.send_signal(signal.SIGSTOP)
            began_s = SystemClock().monotonic_s()
            await eventually(partial(is_said, False))
            missed_s = SystemClock().monotonic_s() - began_s
    finally:
        box.kill()
        await box.wait()
        await broker.stop()
    with capsys.disabled():
        print(f"\n{kind}: missed after {missed_s:.0f} s")  # noqa: T201
    assert missed_s <= 60


async def test_two_boxes_with_one_id_notice_it_back_off_and_are_told_apart(tmp_path, monkeypatch):
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    try:
        twins = [Box(tmp_path / f"{n}", broker.settings("box-1"), boot=n) for n in (3, 7)]
        for twin in twins:
            twin.link._backoff = Backoff(first_s=0.1, base_s=0.1, cap_s=0.2, twin_s=600.0)
        async with (
            running(make_center(tmp_path, broker.settings(CENTER))) as center,
            running(twins[0]),
            running(twins[1]),
        ):

            async def one_backs_off():
                return any(twin.link.status.has_twin for twin in twins)

            async def center_knows():
                return any(view.has_twin for view in await center.boxes())

            await eventually(center_knows)
            await eventually(one_backs_off)
            codes = [twin.link.status.error.code for twin in twins if twin.link.status.has_twin]
            assert "link.cloned" in codes
    finally:
        await broker.stop()


async def test_what_is_pubacked_but_never_acknowledged_is_noticed(tmp_path):
    """The center is there, but does not get what the broker PUBACKs."""
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    try:
        async with running(make_center(tmp_path, broker.settings(CENTER))) as center:
            box = Box(tmp_path, broker.settings("box-1"))
            async with running(box):
                await box.say()
                await box.all_acknowledged()
                assert box.sender.unheard_s == 0
                center._link._received = _deaf
                await box.say()

                async def is_noticed():
                    return box.sender.unheard_s > 0.5

                await eventually(is_noticed)
    finally:
        await broker.stop()


async def _deaf(_message):
    return
