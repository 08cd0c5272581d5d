"""An order that was done is told as done, though the disk was full when it ended."""

import asyncio

from agent.contract.commands import Actor, Ping, ReplyState
from agent.contract.ptz_args import PtzMove
from agent.simulators.broker import CENTER
from agent.simulators.center.commander import public_keys_file
from tests.brokers import make_broker
from tests.spine import ADDRESS, Box, make_center, running

KIM = Actor(user="kim", role="operator", agency="city", case="c-1")
LARGE = {"found": ["x" * 100] * 200}


async def let_grow(box, pages):
    """Let the database have so many pages more than now, as a full disk does."""

    def limit(connection):
        now = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={now + pages}")

    await box.db.run(limit)


async def test_an_order_that_ends_on_a_full_disk_is_told_when_there_is_room_and_harms_no_other(
    tmp_path,
):
    broker = make_broker("mosquitto", tmp_path / "broker", [ADDRESS])
    await broker.start()
    begun, done, effects = asyncio.Event(), asyncio.Event(), []
    box = Box(tmp_path, broker.settings("box-1"), keys_file=public_keys_file(tmp_path))

    async def move(command, progress):
        effects.append(command.id)
        await let_grow(box, 0)
        done.set()
        return LARGE

    async def lasts(command, progress):
        begun.set()
        await asyncio.Event().wait()
        return {}

    box.commands.register("ptz.move", move, idempotent=False)
    box.commands.register("ping", lasts, idempotent=True, deadline_s=100.0, lasts=True)
    center = make_center(tmp_path, broker.settings(CENTER))
    try:
        async with running(center), running(box):
            send, new = center._commander.send, center._commander.new_command
            others = new(ADDRESS, Ping(), KIM, valid_s=60.0)
            heard = []

            async def hear():
                async for reply in send(ADDRESS, others):
                    heard.append(reply)  # noqa: PERF401

            async def give_room():
                await done.wait()
                await asyncio.sleep(1.5)
                await let_grow(box, 10_000)

            async with asyncio.TaskGroup() as tasks:
                other = tasks.create_task(hear())
                await begun.wait()
                tasks.create_task(give_room())
                order = new(ADDRESS, PtzMove(camera_id="cam-1", pan=0.5), KIM, valid_s=60.0)
                replies = [reply async for reply in send(ADDRESS, order)]
                other.cancel()
    finally:
        await broker.stop()
    assert (replies[-1].state, replies[-1].result) == (ReplyState.DONE, LARGE)
    assert effects == [order.id]
    assert not [reply for reply in heard if reply.state.is_final]
