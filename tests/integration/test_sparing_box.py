"""A box on a line that costs, or in a storm: what it holds back, and that it says so."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from agent.contract.events import (
    Event,
    EventData,
    EventKind,
    Phase,
    Picture,
    SeenObject,
    type_of,
)
from agent.contract.telemetry import Telemetry
from agent.core.clock import SystemClock
from agent.core.ids import new_ulid
from agent.settings.model import DataSettings
from agent.simulators.broker import CENTER
from agent.uplink import economy
from agent.uplink.onvif_echo import OnvifEcho
from tests.brokers import Mosquitto
from tests.spine import ADDRESS, A, Box, E, eventually, make_center, running


@pytest.fixture
async def broker(tmp_path):
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    yield broker
    await broker.stop()


def event(box, seq, stream, **changes):
    """Return one event with a thumbnail, as the box encodes it."""
    now = datetime.now(UTC)
    picture = Picture(taken_at=now, width_px=1, height_px=1, jpeg=b"\xff\xd8" * 100)
    made = Event(
        id="",
        source=ADDRESS.source,
        type=type_of(EventKind.INTRUSION),
        subject="gate",
        time=now,
        seq=seq,
        stream=stream,
        epoch=box.outbox.epoch,
        boot=1,
        mono=1.0,
        tq=SystemClock().quality(),
        phase=Phase.NEW,
        data=EventData(
            kind=EventKind.INTRUSION,
            rule_id="yard",
            started_at=now,
            picture=picture,
            objects=(SeenObject(label="person", score=0.9, track_id=7),),
        ),
    )
    return msgspec.structs.replace(made, **changes)


async def say(box, stream, **changes):
    event_id = new_ulid(datetime.now(UTC))

    def build(seq):
        return msgspec.json.encode(event(box, seq, stream, id=event_id, **changes))

    return await box.outbox.append(stream, build, event_id=event_id)


async def pictures(center):
    """Return, oldest first, each stored event's stream, whether its picture came, or why not."""
    found = [stored.event for stored in reversed(await center.events())]
    return [(e.stream, e.data.picture is not None, e.data.picture_held) for e in found]


async def told(center):
    (view,) = await center.boxes()
    return view.telemetry


async def test_an_lte_box_counts_its_data_holds_pictures_back_and_says_so(
    broker, tmp_path, monkeypatch
):
    monkeypatch.setattr(economy, "_LOOK_EVERY_S", 0.05)
    settings = msgspec.structs.replace(broker.settings("box-1"), link="lte")
    limits = DataSettings(monthly_bytes=1_000_000, sparing_share=0.001)
    box = Box(tmp_path, settings, data=limits)
    async with running(make_center(tmp_path, broker.settings(CENTER))) as center, running(box):

        async def has_counted():
            return box.economy.mode is economy.Mode.SPARING

        await eventually(has_counted)  # connecting alone is more than a thousandth
        await say(box, A)
        await say(box, E)
        await box.all_acknowledged()
        assert sorted(await pictures(center)) == [(A, True, None), (E, False, "sparing")]

        async def center_knows():
            sample = await told(center)
            data = sample.link.data if sample else None
            return data and data.mode == "sparing" and data.pictures_held == 1 and data.samples_held

        await eventually(center_knows)
        (view,) = await center.boxes()
        assert view.online
        assert view.state.beat_s == 0.5 * 4  # its silence is no absence


async def test_the_centers_storm_reaches_every_box_and_ends_by_itself(
    broker, tmp_path, monkeypatch
):
    monkeypatch.setattr(economy, "_LOOK_EVERY_S", 0.05)
    box = Box(tmp_path, broker.settings("box-1"))
    async with running(make_center(tmp_path, broker.settings(CENTER))) as center, running(box):
        await box.link.connected()
        await center.storm(datetime.now(UTC) + timedelta(seconds=1.5))

        async def is_in(mode):
            return box.economy.mode is mode

        await eventually(lambda: is_in(economy.Mode.STORM))
        await say(box, A)
        await box.all_acknowledged()
        assert await pictures(center) == [(A, False, "storm")]
        await eventually(lambda: is_in(economy.Mode.NORMAL))
        await say(box, A)
        await box.all_acknowledged()
        assert (await pictures(center))[-1] == (A, True, None)


async def test_a_box_that_died_with_the_broker_is_missed_when_the_center_asks(broker, tmp_path):
    """No will was told, and its next health sample would be due in hours."""
    box = Box(tmp_path, broker.settings("box-1"))
    box.presence.beats(3600.0)
    box.telemetry._period_s = 3600
    async with running(make_center(tmp_path, broker.settings(CENTER))) as center:

        async def online():
            views = await center.boxes()
            return bool(views) and views[0].online

        async def offline():
            return not await online()

        async with running(box):
            await eventually(online)
            await broker.kill()
            await broker.start()
            await asyncio.sleep(2.0)  # longer than it is given to answer
            await eventually(online)
            await broker.kill()
        await broker.start()
        await eventually(offline)


async def test_a_camera_event_is_told_a_second_time_in_the_shape_of_onvif(broker, tmp_path):
    box = Box(tmp_path, broker.settings("box-1"), echo=OnvifEcho(ADDRESS))
    heard = []

    async def hear(message):
        if "/onvif-ej/" in message.topic:
            heard.append((message.topic, msgspec.json.decode(message.payload)))

    listener = make_center(tmp_path / "other", broker.settings(CENTER))
    listener._link._subscriptions = (("edge/1/+/+/up/onvif-ej/#", 1),)
    listener._link._received = hear
    async with running(listener):
        await listener._link.connected()

        async def has_heard():
            return len(heard) >= 2

        async with running(box):
            await say(box, A)
            await say(box, E, phase=Phase.UPDATE)
            await say(box, E, historical=True)
            await say(box, A, phase=Phase.END)
            await eventually(has_heard)
    (topic, new), (_, end) = heard
    local = "RuleEngine/FieldDetector/ObjectsInside"
    assert topic == f"edge/1/site-1/box-1/up/onvif-ej/{local}"
    assert set(new) == {"UtcTime", "Source", "Data"}
    assert new["Source"] == {"VideoSourceToken": "gate", "Rule": "yard"}
    assert (new["Data"]["State"], end["Data"]["State"]) == (True, False)
    assert new["Data"]["ObjectId"] == "7"


def test_telemetry_of_a_plain_wired_box_has_nothing_to_tell_of_it():
    assert b"data" not in msgspec.json.encode(
        Telemetry(t=datetime.now(UTC), mono=1.0, tq=SystemClock().quality())
    )
