"""What the voice costs, as ratios in one run: `python -m tests.bench.uplink`.

Drain against `mosquitto_pub -l`, orders against the broker's ping, the outbox at a million queued,
bytes written and sent. Asserts nothing; absolute times move on a shared machine, ratios less.
"""

import asyncio
import random
import resource
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import click
import msgspec
import psutil

from agent.contract.acks import Ack
from agent.contract.events import StreamName
from agent.contract.records import split
from agent.contract.topics import Channel, parse
from agent.core.clock import SystemClock
from agent.core.db import Database
from agent.core.sqlite import open_writer
from agent.outbox import store
from agent.outbox.store import Store
from agent.settings.model import BrokerSettings
from agent.simulators.broker import CENTER
from agent.uplink import coding
from agent.uplink.link import Link, Outgoing
from agent.uplink.train_dictionary import sample
from tests.bench.figures import say
from tests.bench.idle import idle
from tests.bench.orders import box_for_orders, orders
from tests.brokers import Mosquitto
from tests.spine import ADDRESS, QUICK, Box, E, encoded_event, running

FOLDER = Path("/var/tmp")  # on a disk, unlike /tmp
PAD = "x" * 230  # makes an event of some 630 bytes
ACK_EVERY = 500


class _QuickCenter:
    """Acknowledges as fast as it can and stores nothing: the box is what is measured."""

    def will(self):
        return None

    def greetings(self):
        return ()

    def farewell(self):
        return None

    def __init__(self, settings, last):
        self.acked, self.last = 0, last
        self.link = Link(
            SystemClock(),
            settings,
            "center-bench",
            greeter=self,
            subscriptions=[("edge/1/+/+/up/evt", 1)],
            received=self.received,
            backoff=QUICK,
        )

    async def received(self, message):
        address, _ = parse(message.topic)
        head = split(message.payload)[-1][0]
        if head.seq - self.acked >= ACK_EVERY or head.seq == self.last:
            self.acked = head.seq
            body = msgspec.json.encode({StreamName.EVENT: Ack(upto=head.seq, epoch=head.epoch)})
            await self.link.publish(Outgoing(address.topic(Channel.ACK), body))


def _fill(folder: Path, count: int, per_commit: int) -> int:
    """Queue events as the box does, so many per commit; return the payload's bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    box = Store(SystemClock(), 1, max_bytes=4_000_000_000)
    database = Database(folder / "box.db", [store.PART])
    connection = database._open()
    size = 0
    with closing(connection):
        connection.execute("BEGIN")
        box.open(connection)
        connection.execute("COMMIT")
        body = encoded_event(ADDRESS, box.epoch, E, 1, "0" * 26, pad=PAD)
        for start in range(0, count, per_commit):
            connection.execute("BEGIN")
            for number in range(start, min(count, start + per_commit)):
                head = b'"seq":%d' % (number + 1)
                box.append(
                    connection, E, lambda _, h=head: body.replace(b'"seq":1', h), event_id="e"
                )
                size += len(body)
            connection.execute("COMMIT")
    return size


async def drain(folder: Path, count: int) -> None:
    broker = Mosquitto(
        folder / "broker", [ADDRESS], changes={"persistence true": "persistence false"}
    )
    await broker.start()
    _fill(folder / "drain", count, 500)
    center = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.uplink", "--events", str(count)),
        *("--acker", msgspec.json.encode(broker.settings(CENTER)).decode()),
    )
    await asyncio.sleep(1.5)
    box = Box(folder / "drain", broker.settings("box-1"), max_bytes=4_000_000_000)
    box.telemetry._period_s = 600
    me = psutil.Process()
    async with running(box):
        await box.link.connected()
        cpu, began = sum(me.cpu_times()[:2]), time.perf_counter()
        await box.all_acknowledged()
        seconds, cpu = time.perf_counter() - began, sum(me.cpu_times()[:2]) - cpu
    center.terminate()
    await center.wait()
    floor_s, floor_cpu = await asyncio.to_thread(_mosquitto_pub, broker, count)
    await broker.stop()
    say("drain, events a second", f"{count / seconds:,.0f}")
    say("mosquitto_pub -l -q 1, messages a second", f"{count / floor_s:,.0f}")
    say("drain / mosquitto_pub", f"{floor_s / seconds:.2f} x", ">= 0.6 x")
    say("CPU per event / mosquitto_pub", f"{cpu / floor_cpu:.2f} x", "<= 2 x")
    say("sent again in the drain", str(box.sender.resent_total))


def _mosquitto_pub(broker, count):
    line = encoded_event(ADDRESS, "0000", E, 1, "0" * 26, pad=PAD) + b"\n"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    command = ["mosquitto_pub", "-p", str(broker.port), "-u", "box-1", "-P", "secret-box-1"]
    subprocess.run(
        [*command, "-q", "1", "-t", ADDRESS.topic(Channel.EVENT), "-l"],
        input=line * count,
        check=True,
    )
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def queue(folder: Path, count: int) -> None:
    began = time.perf_counter()
    _fill(folder / "full", count, 2000)
    say(f"queueing {count:,} events", f"{time.perf_counter() - began:.0f} s")
    began = time.perf_counter()
    box = Store(SystemClock(), 1, max_bytes=4_000_000_000)
    connection = open_writer(folder / "full" / "box.db", [])
    with closing(connection):
        box.open(connection)
        box.read(connection, E, 0, limit=20)
        say("reopen and read", f"{time.perf_counter() - began:.3f} s", "<= 1 s")
        times, cpu_times = [], []
        for _ in range(2000):
            after = secrets.randbelow(count - 20)
            began, cpu = time.perf_counter(), time.thread_time()
            box.read(connection, E, after, limit=20)
            times.append(time.perf_counter() - began)
            cpu_times.append(time.thread_time() - cpu)
        p99, cpu_p99 = (statistics.quantiles(each, n=100)[98] for each in (times, cpu_times))
        say("peek of 20, p99", f"{p99 * 1000:.2f} ms", "<= 1 ms")
        say("peek of 20, p99 of its CPU time", f"{cpu_p99 * 1000:.2f} ms")
        began = time.perf_counter()
        connection.execute("BEGIN")
        box.acknowledge(connection, {E: Ack(upto=500, epoch=box.epoch)})
        connection.execute("COMMIT")
        say("acknowledging 500", f"{(time.perf_counter() - began) * 1000:.1f} ms")


def writing(folder: Path, count: int) -> None:
    before = psutil.Process().io_counters().write_bytes
    size = _fill(folder / "written", count, 20)
    written = psutil.Process().io_counters().write_bytes - before
    say("written / payload at 20 a commit", f"{written / size:.2f} x", "<= 4 x")


def telemetry() -> None:
    chance = random.Random(7)  # other boxes than the dictionary was trained on
    plain = [msgspec.json.encode(sample(chance)) for _ in range(300)]
    packed = [coding.pack(body) for body in plain]
    ratio = sum(map(len, packed)) / sum(map(len, plain))
    say("telemetry, zstd with dictionary / JSON", f"{ratio:.2f} x", "<= 0.25 x")


async def _acker(settings: str, last: int) -> None:
    center = _QuickCenter(msgspec.json.decode(settings, type=BrokerSettings), last)
    await center.link.run()


@click.command()
@click.option("--events", default=20_000, show_default=True, help="To drain.")
@click.option("--queued", default=1_000_000, show_default=True, help="In the outbox at once.")
@click.option("--idle-s", default=60.0, show_default=True)
@click.option("--idle-hours", default=24, show_default=True, help="Of the made-up day.")
@click.option("--acker", hidden=True)
@click.option("--box", nargs=3, hidden=True)
def bench(
    events: int,
    queued: int,
    idle_s: float,
    idle_hours: int,
    acker: str | None,
    box: tuple[str, str, str] | None,
) -> None:
    """Measure the voice's costs beside their floors in the same run."""
    if box:
        asyncio.run(box_for_orders(*box))
        return
    if acker:
        asyncio.run(_acker(acker, events))
        return
    if shutil.which("mosquitto_pub") is None:
        sys.exit("mosquitto_pub is not installed, and the drain is measured against it.")
    with tempfile.TemporaryDirectory(dir=FOLDER) as name:
        folder = Path(name)
        asyncio.run(drain(folder, events))
        asyncio.run(orders(folder, 300))
        writing(folder, 5000)
        telemetry()
        queue(folder, queued)
        asyncio.run(idle(folder, idle_s, idle_hours))


if __name__ == "__main__":
    bench()
