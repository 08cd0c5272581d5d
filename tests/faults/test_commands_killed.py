"""Orders while the core is killed again and again: none has its effect twice, and it is honest."""

import asyncio
import os
import random
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest

from agent.contract.commands import Actor, ReplyState
from agent.contract.ptz_args import PtzMove
from agent.simulators.broker import CENTER
from agent.simulators.center.commander import public_keys_file
from tests.brokers import Mosquitto
from tests.spine import ADDRESS, make_center, running

KIM = Actor(user="kim")
CORE = textwrap.dedent("""
    import asyncio, os, sys
    from pathlib import Path
    import msgspec
    from agent.grants.book import Grants
    from agent.settings.model import BrokerSettings
    from agent.simulators.center.commander import public_keys_file
    from tests.spine import Box

    async def main():
        folder = Path(sys.argv[1])
        broker = msgspec.json.decode(sys.argv[2], type=BrokerSettings)
        box = Box(folder / "box", broker, keys_file=public_keys_file(folder))
        chain = box.audit_desk.chain
        async def send(camera_id, order): pass
        grants = Grants(box.clock, box.db, chain.append_in, lambda: {"gate"}, send)
        box.commands.permits = grants
        box.others.append(grants)
        effects = os.open(folder / "effects", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

        async def move(command, progress):
            await asyncio.sleep(0.005)
            os.write(effects, f"{command.id}\\n".encode())  # one write: it is there or not
            await asyncio.sleep(0.005)
            return {}

        box.commands.register("ptz.move", move, idempotent=False)
        await box.open()
        print("open", flush=True)
        await box.run()

    asyncio.run(main())
""")


async def kill_again_and_again(arguments, seed, kills):
    """Run the core and kill it after moments of every length, until cancelled; note each kill."""
    moments, process = random.Random(seed), None
    try:
        while True:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                env=os.environ | {"PYTHONPATH": str(Path.cwd())},
                stdout=asyncio.subprocess.PIPE,
            )
            await process.stdout.readline()  # however slowly it starts, it gets to work
            await asyncio.sleep(0.4 + moments.random())
            process.kill()
            await process.wait()
            kills.append(process.pid)
    finally:
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("count", [100, pytest.param(300, marks=pytest.mark.long)])
async def test_no_order_is_done_twice_however_often_the_core_is_killed(tmp_path, count, capsys):
    (tmp_path / "box").mkdir()
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    told = msgspec.json.encode(broker.settings("box-1")).decode()
    arguments = [sys.executable, "-c", CORE, str(tmp_path), told]
    ends, killings, refused = {}, [], []
    try:
        async with running(make_center(tmp_path, broker.settings(CENTER))) as center:
            commander = center._commander

            async def order():
                args = PtzMove(camera_id="gate", pan=0.1)
                command = commander.new_command(ADDRESS, args, KIM, valid_s=60.0)
                async for reply in commander.send(ADDRESS, command):
                    ends[command.id] = reply.state

            async def order_without_a_grant():
                command = commander.new_command(ADDRESS, PtzMove(camera_id="gate"), KIM, valid_s=60)
                bare = msgspec.structs.replace(command, grant=None)
                refused.extend([r async for r in commander.send(ADDRESS, bare)])

            async with asyncio.TaskGroup() as tasks:
                killing = tasks.create_task(kill_again_and_again(arguments, count, killings))
                async with asyncio.TaskGroup() as orders:
                    orders.create_task(order_without_a_grant())
                    for _ in range(count):
                        orders.create_task(order())
                        await asyncio.sleep(0.1)
                killing.cancel()
    finally:
        await broker.stop()
    assert public_keys_file(tmp_path).exists()

    assert (refused[-1].state, refused[-1].code) == (ReplyState.REFUSED, "grant.none")
    effects = (tmp_path / "effects").read_text().split()
    assert len(effects) == len(set(effects)), "an order was done twice"
    done = {command for command, state in ends.items() if state is ReplyState.DONE}
    unsure = {command for command, state in ends.items() if state is ReplyState.UNKNOWN}
    if count > 100:
        with capsys.disabled():
            twice = len(effects) - len(set(effects))
            told = f"{count} orders: {len(done)} done, {len(unsure)} unknown, {twice} twice"
            sys.stdout.write(f"\n{told}, {len(killings)} kills\n")
    assert len(ends) == count
    assert done <= set(effects)
    assert set(effects) <= done | unsure, "what was done is said to be done, or to be unknown"
    assert len(done) > count / 2
