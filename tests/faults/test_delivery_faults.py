"""Whatever dies, every event reaches the center's store exactly once: PUBACK is not delivery."""

import asyncio
import shutil
import signal
import sys
from pathlib import Path

import msgspec
import pytest

from agent.contract.events import Phase
from agent.simulators.broker import CENTER
from tests.brokers import Mosquitto, make_broker
from tests.spine import ADDRESS, A, Box, E, T, eventually, make_center, running, stored, visit


@pytest.fixture(params=["mosquitto", "nats"])
async def broker(request, tmp_path):
    broker = make_broker(request.param, tmp_path / "broker", [ADDRESS])
    await broker.start()
    yield broker
    await broker.stop()


@pytest.fixture
async def mosquitto(tmp_path):
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    yield broker
    await broker.stop()


async def say_many(box, count, pause_s=0.0):
    for n in range(count):
        await box.say(A if n % 10 == 0 else E)
        await asyncio.sleep(pause_s)


async def assert_all_stored_once(box, center):
    found = await stored(center)
    counts = await box.outbox.counts()
    for stream in (A, E):
        expected = list(range(1, counts[stream].next_seq))
        assert [seq for _, s, seq in found if s == stream] == expected


async def test_the_broker_is_killed_twice_while_events_flow(broker, tmp_path):
    box = Box(tmp_path, broker.settings("box-1"))
    async with running(make_center(tmp_path, broker.settings(CENTER))) as center, running(box):
        for _ in range(2):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(say_many(box, 200, 0.002))
                await asyncio.sleep(0.2)
                await broker.kill()
                await asyncio.sleep(0.2)
                await broker.start()
        await box.all_acknowledged()
        await assert_all_stored_once(box, center)


async def test_a_broker_that_forgets_all_it_acknowledged_loses_nothing(mosquitto, tmp_path):
    """The center is away, the broker PUBACKs and then dies with everything in its memory."""
    box = Box(tmp_path, mosquitto.settings("box-1"))
    await visit(tmp_path, mosquitto.settings(CENTER))
    async with running(box):
        box.inbound.on_center = lambda _: None  # a box that can't know the center is away
        await say_many(box, 300)

        async def is_published():
            position = box.sender._positions[E]
            return position.sent == 270 and box.link.status.connected

        await eventually(is_published)
        await mosquitto.kill()
        shutil.rmtree(mosquitto.folder / "mosquitto.db", ignore_errors=True)
        await mosquitto.start()
        async with running(make_center(tmp_path, mosquitto.settings(CENTER))) as center:
            await box.all_acknowledged()
            await assert_all_stored_once(box, center)


async def test_a_box_sends_nothing_while_the_center_is_away(broker, tmp_path):
    box = Box(tmp_path, broker.settings("box-1"))
    await visit(tmp_path, broker.settings(CENTER))

    async def knows():
        return not box.sender.center_online

    async with running(box):
        await eventually(knows)
        await say_many(box, 100)
        await asyncio.sleep(0.3)
        assert all(position.sent == 0 for position in box.sender._positions.values())
        async with running(make_center(tmp_path, broker.settings(CENTER))) as center:
            await box.all_acknowledged()
            await assert_all_stored_once(box, center)


async def test_a_half_open_connection_is_noticed_and_replaced(mosquitto, tmp_path):
    settings = msgspec.structs.replace(mosquitto.settings("box-1"), publish_timeout_s=1.0)
    box = Box(tmp_path, settings)
    async with running(make_center(tmp_path, mosquitto.settings(CENTER))) as center, running(box):
        await say_many(box, 20)
        await box.all_acknowledged()
        mosquitto.pause()
        await say_many(box, 20)

        async def is_noticed():
            return not box.link.status.connected

        await eventually(is_noticed)
        mosquitto.resume()
        await box.all_acknowledged()
        await assert_all_stored_once(box, center)


async def test_the_center_is_killed_by_losing_its_last_hour(mosquitto, tmp_path):
    """It comes back from a backup: the box sends what it already had acknowledged again."""
    box = Box(tmp_path / "box", mosquitto.settings("box-1"))
    folder = tmp_path / "center"
    async with running(box):
        async with running(make_center(folder, mosquitto.settings(CENTER))):
            await say_many(box, 50)
            await box.all_acknowledged()
        shutil.copytree(folder, tmp_path / "backup")
        async with running(make_center(folder, mosquitto.settings(CENTER))):
            await say_many(box, 50)
            await box.all_acknowledged()
        restored = make_center(tmp_path / "backup", mosquitto.settings(CENTER))
        async with running(restored) as center:
            await say_many(box, 20)  # the first one shows that some are missing

            async def is_whole():
                return len(await stored(center)) == 120

            await eventually(is_whole)
            await assert_all_stored_once(box, center)


async def test_a_full_outbox_gives_up_in_order_and_tells_the_center_what(mosquitto, tmp_path):
    """Telemetry first, then updates of events, then other events, the oldest first; no alarm."""
    box = Box(tmp_path, mosquitto.settings("box-1"), max_bytes=100_000)
    await mosquitto.stop()
    updates = set()
    async with running(box):
        for n in range(100):
            await box.say(T)
            await box.say(A)
            seq = await box.say(E, Phase.UPDATE if n % 2 else Phase.NEW)
            updates |= {seq} if n % 2 else set()
        while (await box.outbox.counts())[E].evicted_total < 60:
            await box.say(A)
        assert (await box.outbox.counts())[T].evicted_total == 100
        await mosquitto.start()
        async with running(make_center(tmp_path, mosquitto.settings(CENTER))) as center:
            await box.all_acknowledged()
            found = await stored(center)
            seqs = {s: [seq for _, stream, seq in found if stream == s] for s in (A, E, T)}
            counts = await box.outbox.counts()
            assert seqs[T] == []
            assert seqs[A] == list(range(1, counts[A].next_seq))
            assert not updates & set(seqs[E])
            rest = sorted(set(range(1, counts[E].next_seq)) - updates)
            assert seqs[E] == rest[-len(seqs[E]) :]
            view = (await center.boxes())[0]
            missing = {count.stream: count.missing for count in view.streams}
            assert missing == {s: counts[s].evicted_total for s in (A, E, T)}
            why = {count.stream: count.missing_why for count in view.streams}
            assert why == {A: {}, E: {"quota": missing[E]}, T: {"quota": 100}}


_WRITER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from agent.settings.model import BrokerSettings
from tests.spine import Box, A, E
import msgspec

async def main():
    broker = msgspec.json.decode(sys.argv[3], type=BrokerSettings)
    box = Box(Path(sys.argv[1]), broker)
    await box.open()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(box.run())
        for n in range(100_000):
            seq = await box.say(A if n % 10 == 0 else E)
            print("a" if n % 10 == 0 else "e", seq, flush=True)

asyncio.run(main())
"""


async def test_killing_the_box_mid_stream_loses_nothing_it_had_committed(broker, tmp_path):
    said = {"a": 0, "e": 0}
    arguments = [_WRITER, str(tmp_path / "box"), str(Path.cwd())]
    arguments.append(msgspec.json.encode(broker.settings("box-1")).decode())
    async with running(make_center(tmp_path, broker.settings(CENTER))) as center:
        for _ in range(3):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", *arguments, stdout=asyncio.subprocess.PIPE
            )
            for _ in range(150):
                line = (await process.stdout.readline()).decode().split()
                said[line[0]] = int(line[1])
            process.send_signal(signal.SIGKILL)
            rest = (await process.stdout.read()).decode().splitlines()
            for stream, seq in (line.split() for line in rest if line.count(" ") == 1):
                said[stream] = int(seq) if seq.isdigit() else said[stream]
            await process.wait()
        box = Box(tmp_path / "box", broker.settings("box-1"))
        async with running(box):
            await box.all_acknowledged()
            await assert_all_stored_once(box, center)
            counts = await box.outbox.counts()
            assert counts[A].next_seq > said["a"]
            assert counts[E].next_seq > said["e"]
