"""The shipped rights: a box writes and reads its own topics, and nothing of anyone else's."""

import asyncio

import aiomqtt
import pytest

from agent.contract.topics import BoxAddress
from agent.simulators.broker import CENTER
from tests.brokers import RABBITMQ, make_broker

ONE, TWO = BoxAddress("site-1", "box-1"), BoxAddress("site-1", "box-2")
NAMES = {CENTER: "center-site-1", ONE.box: "box-1", TWO.box: "box-2"}
rabbitmq = pytest.param(
    "rabbitmq",
    marks=[
        pytest.mark.slow,
        pytest.mark.skipif(not RABBITMQ.exists(), reason="rabbitmq-server is not installed"),
        pytest.mark.long,  # it takes ten seconds to start, for each test
    ],
)


@pytest.fixture(params=["mosquitto", "nats", "nats-cluster", rabbitmq])
async def broker(request, tmp_path):
    broker = make_broker(request.param, tmp_path / "broker", [ONE, TWO])
    await broker.start()
    yield broker
    await broker.stop()


def client(broker, user):
    settings = broker.settings(user)
    return aiomqtt.Client(
        "127.0.0.1",
        int(settings.urls[0].rpartition(":")[2]),
        identifier=NAMES[user],
        username=user,
        password=settings.password,
        timeout=4.0,
    )


class Ears:
    """What a user hears who asks for all of `filters`; the first one is its right."""

    def __init__(self, broker, user, *filters):
        self.broker, self.user, self.filters, self.heard = broker, user, filters, []

    async def listen(self, ready):
        try:
            await self._listen(self.filters, ready)
        except aiomqtt.MqttError:  # cut off for asking too much
            await self._listen(self.filters[:1], ready)

    async def _listen(self, filters, ready):
        async with client(self.broker, self.user) as mine:
            for topic in filters:
                await mine.subscribe(topic, 1)
            ready.set()
            async for message in mine.messages:
                self.heard.append((message.topic.value, message.payload))


async def say(broker, user, *topics, retain=False):
    """Publish on each topic, on a connection each: a broker may cut off who oversteps."""
    for topic in topics:
        try:
            async with asyncio.timeout(5.0), client(broker, user) as speaking:
                await speaking.publish(topic, user.encode(), 1, retain, timeout=2.0)
        except (aiomqtt.MqttError, TimeoutError):
            continue


async def heard(ears, doing, last):
    """Return what `ears` hears while `doing` runs, up to the message on topic `last`."""
    ready = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(ears.listen(ready))
        await ready.wait()
        await doing
        while last not in dict(ears.heard):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        listening.cancel()
    return ears.heard


async def the_center_hears(broker):
    """Return what reaches the center of what box 2 writes, its own word last."""
    foreign = [
        "edge/1/site-1/box-1/up/evt",
        "edge/1/site-1/box-1/up/state",
        "edge/1/site-1/box-1/dn/cmd",
        "edge/1/site-1/box-2/dn/ack",
        "edge/1/site-1/center/state",
        "edge/1/site-1/center/incident",
    ]
    center = Ears(broker, CENTER, "edge/1/site-1/+/up/+")
    return await heard(center, say(broker, TWO.box, *foreign, EVENT), EVENT)


async def box_1_hears(broker):
    """Return what reaches box 1 of what box 2 writes, the center's order last."""
    command = "edge/1/site-1/box-1/dn/cmd"

    async def speak():
        await say(broker, TWO.box, command, "edge/1/site-1/box-1/dn/ack")
        await say(broker, CENTER, command)

    return await heard(Ears(broker, ONE.box, ONE.down_filter), speak(), command)


async def box_2_hears(broker, foreign):
    """Return what reaches box 2 when it asks for `foreign` as well, its own order last."""

    async def speak():
        await say(broker, CENTER, "edge/1/site-1/box-1/dn/cmd")
        await say(broker, ONE.box, "edge/1/site-1/box-1/up/evt")
        await say(broker, CENTER, ORDER)

    await say(broker, CENTER, "edge/1/site-1/box-1/dn/ack", retain=True)
    return await heard(Ears(broker, TWO.box, TWO.down_filter, foreign), speak(), ORDER)


EVENT, ORDER = "edge/1/site-1/box-2/up/evt", "edge/1/site-1/box-2/dn/cmd"
PRYING = [
    "edge/1/site-1/box-1/dn/+",
    "edge/1/site-1/box-1/up/+",
    "edge/1/site-1/+/dn/+",
    "edge/1/#",
    "#",
    "$MQTT/sub/#",  # where NATS delivers everybody's QoS 1 messages
]


async def test_a_box_writes_only_below_its_own_up(broker):
    assert await the_center_hears(broker) == [(EVENT, b"box-2")]


async def test_what_a_box_writes_where_it_may_not_reaches_no_other_box(broker):
    assert await box_1_hears(broker) == [("edge/1/site-1/box-1/dn/cmd", b"center")]


async def test_a_box_hears_only_its_own_dn(broker):
    for foreign in PRYING:
        assert await box_2_hears(broker, foreign) == [(ORDER, b"center")], foreign


LOOSER = {
    "mosquitto": {
        "pattern write edge/1/+/%u/up/+": "pattern write edge/1/#",
        "pattern read edge/1/+/%u/dn/+": "pattern read edge/1/#",
    },
    "nats-cluster": {
        '"edge.1.site-1.box-2.up.*"': '"edge.1.>"',
        '"edge.1.site-1.box-2.dn.*"': '"edge.1.>"',
    },
    "rabbitmq": {
        r"^edge\\.1\\.site-1\\.box-2\\.up": r"^edge\\.1\\.site-1\\.box-[0-9]\\.(up|dn)",
        r"(box-2\\.dn": r"([a-z0-9-]+\\.dn",
    },
}


@pytest.mark.parametrize("kind", ["mosquitto", "nats-cluster", rabbitmq])
async def test_rights_that_were_loosened_are_noticed(kind, tmp_path):
    """The control: with any one right too many, the tests above would fail."""
    for number, (old, new) in enumerate(LOOSER[kind].items()):
        broker = make_broker(kind, tmp_path / f"broker-{number}", [ONE, TWO])
        broker.looser = {old: new}
        await broker.start()
        try:
            if number == 0:
                assert ("edge/1/site-1/box-1/up/evt", b"box-2") in await the_center_hears(broker)
                assert ("edge/1/site-1/box-1/dn/cmd", b"box-2") in await box_1_hears(broker)
            else:
                spied = await box_2_hears(broker, "edge/1/site-1/box-1/dn/+")
                assert ("edge/1/site-1/box-1/dn/cmd", b"center") in spied
        finally:
            await broker.stop()


async def stay_connected(broker, when_there=lambda: None):
    """Be box 2 until the broker ends it."""
    async with client(broker, TWO.box) as mine:
        await mine.subscribe(TWO.down_filter, 1)
        when_there()
        async for _ in mine.messages:
            pass


def drop_box_2(broker):
    broker.write_users([ONE])
    broker.reload()


async def test_a_box_taken_off_the_nats_users_is_cut_off_at_the_reload(tmp_path):
    """NATS reads no list of revoked certificates: who must go is taken off its users."""
    broker = make_broker("nats-cluster", tmp_path / "broker", [ONE, TWO])
    await broker.start()
    try:
        async with client(broker, ONE.box) as stays:
            await stays.subscribe(ONE.down_filter, 1)
            with pytest.raises(aiomqtt.MqttError):
                await stay_connected(broker, when_there=lambda: drop_box_2(broker))
            with pytest.raises(aiomqtt.MqttError):
                await stay_connected(broker)
            await say(broker, CENTER, "edge/1/site-1/box-1/dn/cmd")
            async with asyncio.timeout(20.0):
                message = await anext(aiter(stays.messages))
        assert message.payload == b"center"
    finally:
        await broker.stop()
