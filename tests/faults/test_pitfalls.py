"""Every known pitfall of MQTT at a pole has a test of its own; `WHERE` says which, by its number.

The tests that are here are those that have no better place.
"""

import asyncio
import contextlib
import re
import socket
from pathlib import Path

import msgspec
import pytest

from agent.contract.topics import Channel
from agent.core.db_room import FREE_BYTES
from agent.settings.model import BrokerSettings
from agent.simulators.broker import CENTER, free_port
from agent.simulators.center.boxes import Patience
from agent.uplink import client as mqtt
from agent.uplink.backoff import Backoff
from agent.uplink.inbound import Inbound
from agent.uplink.link import Incoming, Outgoing
from tests.brokers import Mosquitto
from tests.spine import ADDRESS, A, Box, E, eventually, make_center, running, stored

TESTS = Path(__file__).parents[1]
MATRIX = "faults/test_fault_matrix.py test_nothing_is_lost_and_nothing_doubled"
DELIVERY, VERSIONS = "faults/test_delivery_faults.py", "integration/test_mqtt_versions.py"
FORGOTTEN = f"{DELIVERY} test_a_broker_that_forgets_all_it_acknowledged_loses_nothing"
HERE = "faults/test_pitfalls.py"
WHERE = {
    1: FORGOTTEN,
    2: f"{VERSIONS} test_2_a_refused_message_is_known_with_mqtt_5",
    3: f"{HERE} test_3_nagle_is_off_at_both_ends",
    4: f"{HERE} test_4_each_connection_has_a_client_of_its_own",
    5: f"{HERE} test_5_a_message_is_pubacked_only_after_it_was_handled",
    6: f"{HERE} test_6_a_retained_order_is_not_obeyed",
    7: "unit/test_sender.py test_7_a_stream_never_fills_a_brokers_queue_of_a_thousand_messages",
    8: FORGOTTEN,
    9: f"{HERE} test_9_10_nothing_shared_is_subscribed_and_few_filters",
    10: f"{HERE} test_10_who_is_there_is_known_without_any_retained_message",
    11: "contract/test_wire_shapes.py test_foreign_topics_are_not_taken_for_ours",
    12: "faults/test_link_faults.py test_a_refused_subscription_is_an_error",
    13: f"{VERSIONS} test_13_however_a_broker_fails_mqtt_5_it_is_found_out_once",
    14: f"{DELIVERY} test_a_full_outbox_gives_up_in_order_and_tells_the_center_what",
    15: f"{HERE} test_15_an_outbox_that_was_lost_begins_a_new_epoch",
    16: "unit/test_command_signature.py test_a_box_without_a_clock_wants_its_nonce_back",
    17: "faults/test_presence_faults.py"
    " test_two_boxes_with_one_id_notice_it_back_off_and_are_told_apart",
    18: "faults/test_presence_faults.py test_late_wills_and_queued_news_do_not_hide_the_truth",
    19: f"{HERE} test_19_every_kind_of_failure_is_followed_by_a_jittered_wait",
    20: f"{HERE} test_20_an_idle_half_open_connection_is_noticed",
    21: f"{MATRIX} line_is_slow_and_cut",
    22: f"{HERE} test_22_the_outbox_file_does_not_grow_for_ever",
    23: f"{HERE} test_23_telemetry_writes_nothing_to_the_disk",
    24: "integration/test_enrolment.py test_one_that_is_over_is_renewed_with_the_key_alone",
    25: f"{HERE} test_25_pings_come_as_often_as_the_kind_of_link_needs",
    26: f"{HERE} test_26_many_messages_under_way_are_no_storm_in_the_log",
}


@pytest.fixture
async def mosquitto(tmp_path):
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    yield broker
    await broker.stop()


def test_every_pitfall_has_its_test():
    assert set(WHERE) == set(range(1, 27))
    for place in WHERE.values():
        file, name = place.split()[:2]
        assert f"def {name}(" in (TESTS / file).read_text(), place


async def test_3_nagle_is_off_at_both_ends(mosquitto, tmp_path):
    box = Box(tmp_path, mosquitto.settings("box-1"))
    async with running(box):
        await box.link.connected()
        sock = box.link._client._client.socket()
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    assert "set_tcp_nodelay true" in (mosquitto.folder / "mosquitto.conf").read_text()


async def test_4_each_connection_has_a_client_of_its_own(mosquitto, tmp_path):
    box = Box(tmp_path, mosquitto.settings("box-1"))
    async with running(box):
        first = await box.link.connected()
        before = box.link._client
        mqtt.shut(before)

        async def is_another():
            return box.link.status.connected and not box.link.is_up(first)

        await eventually(is_another)
        assert box.link._client is not before


async def test_5_a_message_is_pubacked_only_after_it_was_handled(mosquitto, tmp_path):
    """The center dies while it stores one: the broker brings it again."""
    heard, lets_go = [], asyncio.Event()

    def link(received):
        center = make_center(tmp_path, mosquitto.settings(CENTER))
        center._link._received = received
        return center

    async def hangs(message):
        heard.append(message.payload)
        await lets_go.wait()

    async def takes(message):
        heard.append(message.payload)

    box = Box(tmp_path / "box", mosquitto.settings("box-1"))
    async with running(box):
        await box.link.connected()
        async with running(link(hangs)) as center:
            await center._link.connected()
            await box.link.publish(Outgoing(ADDRESS.topic(Channel.REPLY), b"once"))

            async def is_heard():
                return len(heard) > 0

            await eventually(is_heard)
            taken = len(heard)
        async with running(link(takes)):

            async def comes_again():
                return heard[taken:].count(b"once") == 1

            await eventually(comes_again)


async def test_6_a_retained_order_is_not_obeyed():
    obeyed = []

    async def obey(token):
        obeyed.append(token)

    async def nothing(_):
        return

    inbound = Inbound(ADDRESS, nothing, lambda _: None, obey)
    topic = ADDRESS.topic(Channel.COMMAND)
    await inbound.received(Incoming(topic, b"old", retained=True))
    await inbound.received(Incoming(topic, b"new", retained=False))
    assert obeyed == [b"new"]


async def test_9_10_nothing_shared_is_subscribed_and_few_filters(mosquitto, tmp_path):
    """`$share` is granted and dead on several brokers; each QoS 1 filter is a consumer on NATS."""
    box = Box(tmp_path, mosquitto.settings("box-1"))
    center = make_center(tmp_path, mosquitto.settings(CENTER))
    for link in (box.link, center._link):
        assert not any(topic.startswith("$") for topic, _ in link._subscriptions)
        assert [qos for _, qos in link._subscriptions].count(1) == 1


async def test_10_who_is_there_is_known_without_any_retained_message(mosquitto, tmp_path):
    """A RabbitMQ brings no retained message by a wildcard: health samples tell it, too."""
    box = Box(tmp_path, mosquitto.settings("box-1"))
    center = make_center(tmp_path, mosquitto.settings(CENTER))
    receive = center._link._received

    async def only_samples(message):
        if message.topic.endswith("/tel"):
            await receive(message)

    center._link._received = only_samples

    async def is_there():
        return any(view.online for view in await center.boxes())

    async with running(box):
        await box.link.connected()
        async with running(center):
            await eventually(is_there)


async def test_15_an_outbox_that_was_lost_begins_a_new_epoch(mosquitto, tmp_path):
    async with running(make_center(tmp_path, mosquitto.settings(CENTER))) as center:
        for life in ("first", "second"):  # the same box with a new disk
            box = Box(tmp_path / life, mosquitto.settings("box-1"))
            async with running(box):
                await box.say(A)
                await box.say(E)
                await box.all_acknowledged()
        assert [seq for _, _, seq in await stored(center)] == [1, 1, 1, 1]


@pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning")  # paho drops it unclosed
@pytest.mark.parametrize(
    "url",
    [f"mqtt://127.0.0.1:{free_port()}", "mqtt://no-such-host.invalid", "mqtts://127.0.0.1:{tcp}"],
    ids=["no broker", "no name", "no TLS"],
)
async def test_19_every_kind_of_failure_is_followed_by_a_jittered_wait(url, tmp_path):
    waits = []

    class Noted(Backoff):
        def wait_s(self, failures):
            waits.append((failures, super().wait_s(failures)))
            return 0.01

    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    broker = BrokerSettings(urls=(url.replace("{tcp}", str(port)),), ca_file="")
    box = Box(tmp_path, broker)
    box.link._backoff = Noted()
    async with running(box):

        async def failed_often():
            return len(waits) >= 3

        await eventually(failed_often)
    server.close()
    assert [failures for failures, _ in waits[:3]] == [1, 2, 3]
    assert all(0 <= wait <= bound for (_, wait), bound in zip(waits, (5, 10, 20), strict=False))
    assert len({wait for _, wait in waits}) == len(waits)


@contextlib.asynccontextmanager
async def idle(mosquitto, tmp_path):
    """A box that says nothing more, nor has to before a ping is due."""
    box = Box(tmp_path, msgspec.structs.replace(mosquitto.settings("box-1"), keepalive_s=5))
    box.telemetry._period_s = 3600
    async with running(box):
        await box.link.connected()
        await asyncio.sleep(0.6)  # what is said at the beginning is said
        yield box


@pytest.mark.slow
async def test_20_an_idle_half_open_connection_is_noticed(mosquitto, tmp_path):
    """Nothing is published: only the missing answer to a ping can tell."""
    async with idle(mosquitto, tmp_path) as box:
        mosquitto.pause()

        async def is_noticed():
            return not box.link.status.connected

        await eventually(is_noticed)
        mosquitto.resume()


@pytest.mark.slow
async def test_20_an_idle_connection_that_is_sound_is_kept(mosquitto, tmp_path):
    """The broker ends one that says nothing for one and a half keepalives: pings come in time."""
    async with idle(mosquitto, tmp_path) as box:
        await asyncio.sleep(22.0)
        assert box.link.status.connected
        assert box.link.status.connects_total == 1


@pytest.mark.slow
async def test_20_a_broker_that_wants_pings_more_often_has_them(tmp_path):
    """By MQTT 5 it says so as it lets the box in, and ends one that keeps to its own."""
    mosquitto = Mosquitto(tmp_path / "broker", [ADDRESS], "max_keepalive 10")
    await mosquitto.start()
    changes = {"keepalive_s": 60, "mqtt_version": "5"}
    box = Box(tmp_path, msgspec.structs.replace(mosquitto.settings("box-1"), **changes))
    box.telemetry._period_s = 3600
    try:
        async with running(box):
            await box.link.connected()
            await asyncio.sleep(32.0)
            assert box.link.status.connected
            assert box.link.status.connects_total == 1
    finally:
        await mosquitto.stop()


async def test_22_the_outbox_file_does_not_grow_for_ever(mosquitto, tmp_path):
    """Room that acknowledged records leave is used again; the file ends at the outbox's bound."""
    sizes = []
    await mosquitto.stop()
    box = Box(tmp_path, mosquitto.settings("box-1"), max_bytes=200_000)
    async with running(box):
        for _ in range(6):
            for _ in range(200):
                await box.say(E, pad="x" * 500)
            sizes.append((tmp_path / "box.db").stat().st_size)
    await mosquitto.start()
    assert sizes[-1] <= 2 * 200_000 + FREE_BYTES
    assert sizes[-1] == sizes[-2]


async def test_23_telemetry_writes_nothing_to_the_disk(mosquitto, tmp_path):
    box = Box(tmp_path, mosquitto.settings("box-1"))
    box.telemetry._period_s = 0.02
    sent = []
    async with running(box):
        await box.link.connected()
        await asyncio.sleep(0.5)
        publish = box.link.publish

        async def noted(message):
            sent.append(message.topic)
            await publish(message)

        box.link.publish = noted
        wal = tmp_path / "box.db-wal"
        before = wal.stat().st_size, wal.stat().st_mtime_ns

        async def many():
            return len([topic for topic in sent if topic.endswith("/tel")]) >= 20

        await eventually(many)
        assert (wal.stat().st_size, wal.stat().st_mtime_ns) == before


def test_25_pings_come_as_often_as_the_kind_of_link_needs():
    """A dead box is missed within a minute: one and a half keepalives, which mosquitto looks at
    every five seconds, and the time a center waits for it to come back."""
    wired, lte = BrokerSettings(), BrokerSettings(link="lte")
    assert wired.ping_s < lte.ping_s
    assert 1.5 * lte.ping_s + 5 + Patience().away_s < 60
    assert BrokerSettings(link="lte", keepalive_s=600).ping_s == 600


async def test_26_many_messages_under_way_are_no_storm_in_the_log(mosquitto, tmp_path, caplog):
    box = Box(tmp_path, mosquitto.settings("box-1"))
    async with running(box):
        await box.link.connected()
        topic = ADDRESS.topic(Channel.REPLY)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(200):
                tasks.create_task(box.link.publish(Outgoing(topic, b"{}")))
    assert not re.search("pending", caplog.text)
