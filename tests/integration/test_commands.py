"""An order is signed, done once, answered from the journal, audited; over both real brokers."""

import asyncio
import base64

import msgspec
import pytest

from agent.commands import journal
from agent.contract.audit import CHAIN_START, AuditRecord
from agent.contract.commands import Actor, Ping, ReplyState
from agent.contract.events import TimeQuality
from agent.contract.ptz_args import PtzMove
from agent.contract.topics import Channel
from agent.core.clock import SystemClock
from agent.core.errors import CommandError
from agent.simulators.broker import CENTER
from agent.simulators.center import store
from agent.simulators.center.commander import load_key, public_keys_file, sign
from agent.simulators.center.guest import Guest
from agent.uplink.link import Outgoing
from tests.brokers import make_broker
from tests.spine import ADDRESS, Box, U, make_center, running

KIM = Actor(user="kim", role="operator", agency="city", case="c-1")
MOVE = PtzMove(camera_id="cam-1", pan=0.5)


@pytest.fixture(params=["mosquitto", "nats"])
async def broker(request, tmp_path):
    broker = make_broker(request.param, tmp_path / "broker", [ADDRESS])
    await broker.start()
    yield broker
    await broker.stop()


@pytest.fixture
async def mosquitto(tmp_path):
    broker = make_broker("mosquitto", tmp_path / "broker", [ADDRESS])
    await broker.start()
    yield broker
    await broker.stop()


def make_box(tmp_path, broker, handler=None):
    box = Box(tmp_path, broker.settings("box-1"), keys_file=public_keys_file(tmp_path))
    if handler is not None:
        box.commands.register("ptz.move", handler, idempotent=False)
    return box


def order(center, args=MOVE, valid_s=30.0):
    return center._commander.new_command(ADDRESS, args, KIM, valid_s=valid_s)


async def replies_to(center, command):
    return [reply async for reply in center._commander.send(ADDRESS, command)]


async def test_ping_goes_there_and_back(broker, tmp_path):
    box = make_box(tmp_path, broker)
    async with running(make_center(tmp_path, broker.settings(CENTER))) as center, running(box):
        replies = [reply async for reply in center.command(ADDRESS, Ping(), KIM)]
    assert replies[-1].state is ReplyState.DONE
    assert replies[-1].result["version"]


@pytest.mark.parametrize("broker", ["mosquitto", "nats", "nats-cluster"], indirect=True)
async def test_the_same_order_again_is_answered_but_not_done(broker, tmp_path):
    done = []

    async def move(command, progress):
        await progress("moving")
        done.append(command.id)
        return {"n": len(done)}

    box = make_box(tmp_path, broker, move)
    async with running(make_center(tmp_path, broker.settings(CENTER))) as center, running(box):
        command = order(center)
        first = await replies_to(center, command)
        again = await replies_to(center, command)
    assert [reply.state.value for reply in first][-2:] == ["progress", "done"]
    assert [reply.state.value for reply in again] == ["done"]
    assert again[0].result == {"n": 1}
    assert done == [command.id]


async def test_an_order_that_takes_its_time_is_said_to_be_accepted_first(broker, tmp_path):
    told, states = asyncio.Event(), []

    async def moves_slowly(command, progress):
        await told.wait()
        return {}

    box = make_box(tmp_path, broker, moves_slowly)
    async with running(make_center(tmp_path, broker.settings(CENTER))) as center, running(box):
        async for reply in center._commander.send(ADDRESS, order(center)):
            states.append(reply.state)
            told.set()
    assert states == [ReplyState.ACCEPTED, ReplyState.DONE]


async def test_whoever_has_the_broker_can_t_end_the_link_by_what_he_says(mosquitto, tmp_path):
    deep = b'{"a":' + b"[" * 4000
    said = [
        (ADDRESS.center_state, deep),
        (ADDRESS.topic(Channel.ACK), b'{"e":{"upto":1,"epoch":"a","x":' + b"[" * 990),
        (ADDRESS.topic(Channel.COMMAND), b"eyJhbGciOiJFZERTQSIsImNyaXQiOjV9.e30.AAAA"),
        (ADDRESS.topic(Channel.COMMAND), b"e30." + base64.urlsafe_b64encode(deep) + b".AAAA"),
        (ADDRESS.topic(Channel.CONFIG), b"eyJhbGciOiJFZERTQSIsImNyaXQiOjV9.e30.AAAA"),
    ]
    box = make_box(tmp_path, mosquitto)
    async with running(make_center(tmp_path, mosquitto.settings(CENTER))) as center, running(box):
        assert (await replies_to(center, order(center, Ping())))[-1].state is ReplyState.DONE
        beyond = b'{"e":{"upto":9223372036854775807,"epoch":"%s"}}' % box.outbox.epoch.encode()
        for topic, payload in [*said, (ADDRESS.topic(Channel.ACK), beyond)]:
            await center._link.publish(Outgoing(topic, payload))
        assert (await replies_to(center, order(center, Ping())))[-1].state is ReplyState.DONE
        assert box.link.status.connects_total == 1


async def test_failures_and_refusals_are_answered_with_a_code(mosquitto, tmp_path):
    async def fails(command, progress):
        raise CommandError("camera.no_ptz", "This camera can't move.", hint="Use another.")

    box = make_box(tmp_path, mosquitto, fails)
    center = make_center(tmp_path, mosquitto.settings(CENTER))
    async with running(center), running(box):
        failed = (await replies_to(center, order(center)))[-1]
        assert (failed.state, failed.code) == (ReplyState.FAILED, "camera.no_ptz")
        assert failed.hint == "Use another."

        old = msgspec.structs.replace(order(center), exp=order(center).iat - 5)
        await box.commands.handle(sign(old, center._commander._key))
        known = await box.db.run(lambda connection: journal.find(connection, old.id))
        assert known.reply.state is ReplyState.EXPIRED

        box.commands._operations.clear()
        refused = (await replies_to(center, order(center)))[-1]
        assert (refused.state, refused.code) == (ReplyState.REFUSED, "command.unsupported")

        public_keys_file(tmp_path).unlink()
        keyless = (await replies_to(center, order(center)))[-1]
        assert (keyless.state, keyless.code) == (ReplyState.REFUSED, "command.no_keys")


class Synchronised(SystemClock):
    def quality(self):
        return TimeQuality.NTP


async def test_an_order_of_a_year_to_come_makes_the_box_forget_nothing(mosquitto, tmp_path):
    keys_file = public_keys_file(tmp_path)
    box = Box(tmp_path, mosquitto.settings("box-1"), keys_file=keys_file, clock=Synchronised())
    async with running(make_center(tmp_path, mosquitto.settings(CENTER))) as center, running(box):
        done = order(center, Ping())
        assert (await replies_to(center, done))[-1].state is ReplyState.DONE
        year_s = 365 * 86_400
        early = order(center, Ping())
        early = msgspec.structs.replace(early, iat=early.iat + year_s, exp=early.exp + year_s)
        assert (await replies_to(center, early))[-1].state is ReplyState.DONE
        assert [reply.state.value for reply in await replies_to(center, done)] == ["done"]
        kept = await box.db.run(lambda connection: journal.find(connection, done.id))
        assert kept.reply.state is ReplyState.DONE


async def test_an_order_whose_time_runs_out_while_it_waits_for_its_turn_is_not_begun(
    mosquitto, tmp_path
):
    full, over, done = asyncio.Semaphore(0), asyncio.Event(), []

    async def holds_a_place(command, progress):
        done.append(command.id)
        full.release()
        await over.wait()
        return {}

    keys_file = public_keys_file(tmp_path)
    box = Box(tmp_path, mosquitto.settings("box-1"), keys_file=keys_file, clock=Synchronised())
    box.commands.register("ptz.move", holds_a_place, idempotent=False, deadline_s=100.0)
    async with (
        running(make_center(tmp_path, mosquitto.settings(CENTER))) as center,
        running(box),
        asyncio.TaskGroup() as tasks,
    ):
        others = [order(center) for _ in range(8)]
        for other in others:
            tasks.create_task(replies_to(center, other))
        for _ in others:
            await full.acquire()
        late = order(center, valid_s=1.0)
        asked = tasks.create_task(replies_to(center, late))
        await asyncio.sleep(2.5)
        over.set()
    end = asked.result()[-1]
    assert (end.state, end.code) == (ReplyState.EXPIRED, "command.expired")
    assert sorted(done) == sorted(other.id for other in others)


async def test_a_box_that_is_away_is_said_to_be(mosquitto, tmp_path):
    async with running(make_center(tmp_path, mosquitto.settings(CENTER))) as center:
        center._commander._grace_s = 0.2
        (reply,) = await replies_to(center, order(center, valid_s=1.0))
    assert (reply.state, reply.code) == (ReplyState.EXPIRED, "command.no_answer")


async def test_after_a_restart_what_was_being_done_is_unknown_or_done_again(mosquitto, tmp_path):
    begun = asyncio.Event()

    async def never_ends(command, progress):
        begun.set()
        await asyncio.Event().wait()

    center = make_center(tmp_path, mosquitto.settings(CENTER))
    async with running(center):
        box = make_box(tmp_path, mosquitto, never_ends)
        box.commands.register("ping", never_ends, idempotent=True, deadline_s=60.0)
        move, ping = order(center), order(center, Ping())
        async with running(box):
            for command in (move, ping):
                begun.clear()
                await box.commands.handle(sign(command, center._commander._key))
                await begun.wait()
        async with running(make_box(tmp_path, mosquitto, never_ends)):
            assert (await replies_to(center, move))[-1].state is ReplyState.UNKNOWN
            assert (await replies_to(center, ping))[-1].state is ReplyState.DONE


async def test_every_order_is_in_the_audit_chain_at_the_center(broker, tmp_path):
    box = make_box(tmp_path, broker)
    async with running(make_center(tmp_path, broker.settings(CENTER))) as center, running(box):
        for _ in range(3):
            await replies_to(center, order(center, Ping()))
        await box.all_acknowledged()
        assert (await box.outbox.counts())[U].acked == 6
        rows = await center._db.run(lambda c: store.newest(c, "edge.audit.", 100))
    entries = [msgspec.json.decode(row.body, type=AuditRecord).data for row in reversed(rows)]
    assert [entry.outcome for entry in entries] == ["accepted", "done"] * 3
    assert {entry.actor for entry in entries} == {"kim"}
    prev = CHAIN_START
    for entry in entries:
        assert entry.is_sealed()
        assert entry.prev == prev
        prev = entry.hash


async def test_the_key_pair_is_made_once_and_only_its_public_half_is_shown(tmp_path):
    key = load_key(tmp_path)
    assert load_key(tmp_path).as_dict(private=True) == key.as_dict(private=True)
    assert '"d"' not in public_keys_file(tmp_path).read_text()
    assert (tmp_path / "center-key.json").stat().st_mode & 0o077 == 0


async def test_an_order_can_be_given_beside_a_running_center(broker, tmp_path):
    box = make_box(tmp_path, broker)
    center = make_center(tmp_path, broker.settings(CENTER))
    replies = []
    async with running(center), running(box):
        who = getattr(broker, "guest", CENTER)
        guest = Guest(SystemClock(), broker.settings(who), tmp_path, ADDRESS)
        final = await guest.order(Ping(), KIM, 30.0, replies.append)
        assert center.link() == ""
        await box.all_acknowledged()
    assert final.state is ReplyState.DONE
    assert replies[-1] == final
