"""MQTT 5 is spoken where it is wanted and understood, 3.1.1 with every other broker."""

import asyncio

import msgspec
import pytest

from agent.contract.topics import Channel
from agent.simulators.broker import CENTER
from agent.uplink import client
from agent.uplink.link import Outgoing
from tests.brokers import Mosquitto, make_broker
from tests.spine import ADDRESS, Box, eventually, make_center, running, stored
from tests.version_gate import Manner, VersionGate


@pytest.fixture
async def mosquitto(tmp_path):
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    yield broker
    await broker.stop()


def on_v5(settings, *ports):
    urls = tuple(f"mqtt://127.0.0.1:{port}" for port in ports) or settings.urls
    return msgspec.structs.replace(settings, urls=urls, mqtt_version="5")


async def test_mqtt_5_is_spoken_by_box_and_center_when_both_want_it(mosquitto, tmp_path):
    box = Box(tmp_path, on_v5(mosquitto.settings("box-1")))
    center_settings = on_v5(mosquitto.settings(CENTER))
    async with running(box):
        async with running(make_center(tmp_path, center_settings)) as center:
            await box.say()
            await box.all_acknowledged()
        async with running(make_center(tmp_path, center_settings)) as center:  # its session stayed
            await box.say()
            await box.all_acknowledged()
            assert len(await stored(center)) == 2
        assert box.link.status.mqtt == "5"
        assert box.link.status.refused == ""


async def test_a_broker_that_knows_3_1_1_only_is_spoken_to_so(tmp_path):
    broker = make_broker("nats", tmp_path / "broker", [ADDRESS])
    await broker.start()
    try:
        box = Box(tmp_path, on_v5(broker.settings("box-1")))
        async with running(make_center(tmp_path, broker.settings(CENTER))), running(box):
            await box.say()
            await box.all_acknowledged()
            assert box.link.status.mqtt == "3.1.1"
    finally:
        await broker.stop()


@pytest.mark.parametrize("manner", list(Manner))
async def test_13_however_a_broker_fails_mqtt_5_it_is_found_out_once(
    manner, mosquitto, tmp_path, monkeypatch
):
    monkeypatch.setattr(client, "_V5_CONNECT_S", 0.5)
    async with VersionGate(mosquitto.port, manner) as gate:
        box = Box(tmp_path, on_v5(mosquitto.settings("box-1"), gate.port))
        async with running(make_center(tmp_path, mosquitto.settings(CENTER))), running(box):
            first = await box.link.connected()
            await box.say()
            await box.all_acknowledged()
            assert gate.versions == [5, 4]
            client.shut(box.link._client)

            async def is_back():
                return box.link.status.connected and not box.link.is_up(first)

            await eventually(is_back)
            assert gate.versions == [5, 4, 4]


async def test_what_is_found_out_holds_for_that_address_only(mosquitto, tmp_path):
    async with (
        VersionGate(mosquitto.port, Manner.REFUSE_IN_5) as one,
        VersionGate(mosquitto.port, Manner.REFUSE_IN_311) as other,
    ):
        box = Box(tmp_path, on_v5(mosquitto.settings("box-1"), one.port, other.port))

        async def both_were_used():
            if box.link.status.connected:
                client.shut(box.link._client)
            return len(one.versions) >= 3 and len(other.versions) >= 3

        async with running(box):
            await eventually(both_were_used)
        assert [one.versions.count(5), other.versions.count(5)] == [1, 1]


async def test_2_a_refused_message_is_known_with_mqtt_5(mosquitto, tmp_path):
    box = Box(tmp_path, on_v5(mosquitto.settings("box-1")))
    async with running(box):
        await box.link.connected()
        elsewhere = ADDRESS.topic(Channel.ACK)
        await box.link.publish(Outgoing(elsewhere, b"{}"))
        assert box.link.status.refused == "Not authorized"


async def test_with_mqtt_5_what_has_had_its_time_is_not_kept_for_the_center(mosquitto, tmp_path):
    box = Box(tmp_path, on_v5(mosquitto.settings("box-1")))
    old, fresh = (ADDRESS.topic(channel) for channel in (Channel.REPLY, Channel.AUDIT))
    heard = []
    async with running(box):
        await box.link.connected()
        await box.link.publish(Outgoing(old, b"old", retain=True, expires_s=1.0))
        await box.link.publish(Outgoing(fresh, b"fresh", retain=True))
        await asyncio.sleep(2.1)
    center = make_center(tmp_path, mosquitto.settings(CENTER))

    async def hear(message):
        heard.append(message.payload)

    async def has_heard():
        return b"fresh" in heard

    center._link._received = hear
    async with running(center):
        await eventually(has_heard)
    assert b"old" not in heard
