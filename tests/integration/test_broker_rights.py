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


async def test_a_box_writes_only_below_its_own_up(broker):
    foreign = [
        "edge/1/site-1/box-1/up/evt",
        "edge/1/site-1/box-1/up/state",
        "edge/1/site-1/box-1/dn/cmd",
        "edge/1/site-1/box-2/dn/ack",
        "edge/1/site-1/center/state",
    ]
    own = "edge/1/site-1/box-2/up/evt"
    center = Ears(broker, CENTER, "edge/1/site-1/+/up/+")
    assert await heard(center, say(broker, TWO.box, *foreign, own), own) == [(own, b"box-2")]


async def test_what_a_box_writes_where_it_may_not_reaches_no_other_box(broker):
    async def speak():
        await say(broker, TWO.box, "edge/1/site-1/box-1/dn/cmd", "edge/1/site-1/box-1/dn/ack")
        await say(broker, CENTER, "edge/1/site-1/box-1/dn/cmd")

    command = "edge/1/site-1/box-1/dn/cmd"
    box = Ears(broker, ONE.box, ONE.down_filter)
    assert await heard(box, speak(), command) == [(command, b"center")]


PRYING = [
    "edge/1/site-1/box-1/dn/+",
    "edge/1/site-1/box-1/up/+",
    "edge/1/site-1/+/dn/+",
    "edge/1/#",
    "#",
    "$MQTT/sub/#",  # where NATS delivers everybody's QoS 1 messages
]


async def test_a_box_hears_only_its_own_dn(broker):
    async def speak():
        await say(broker, CENTER, "edge/1/site-1/box-1/dn/cmd")
        await say(broker, ONE.box, "edge/1/site-1/box-1/up/evt")
        await say(broker, CENTER, own)

    own = "edge/1/site-1/box-2/dn/cmd"
    await say(broker, CENTER, "edge/1/site-1/box-1/dn/ack", retain=True)
    for foreign in PRYING:
        box = Ears(broker, TWO.box, TWO.down_filter, foreign)
        assert await heard(box, speak(), own) == [(own, b"center")], foreign
