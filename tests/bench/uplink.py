"""What the voice costs, as ratios in one run: `python -m tests.bench.uplink`.

Drain against `mosquitto_pub -l`, orders against the broker's ping, the outbox at a million queued,
bytes written and sent. Asserts nothing; absolute times move on a shared machine, ratios less.
"""

import asyncio
import random
import resource
import secrets
import shutil
import socket
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
from agent.contract.commands import Actor, Ping
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
from agent.simulators.center.commander import public_keys_file
from agent.uplink import coding
from agent.uplink.link import Link, Outgoing
from agent.uplink.train_dictionary import sample
from tests.brokers import Mosquitto
from tests.slow_link import SlowLink
from tests.spine import ADDRESS, QUICK, Box, E, encoded_event, eventually, make_center, running

FOLDER = Path("/var/tmp")  # on a disk, unlike /tmp
PAD = "x" * 230  # makes an event of some 630 bytes
ACK_EVERY = 500
TCP_MESSAGE_BYTES = 22 + 40 + 40  # TLS record, TCP/IP headers, a bare ACK back
MQTT_PING_BYTES = 2 * (2 + 22 + 40) + 40


def say(name: str, value: str, bar: str = "") -> None:
    click.echo(f"{name:<58}{value:>18}   {bar}")


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


async def orders(folder: Path, count: int) -> None:
    broker = Mosquitto(folder / "order-broker", [ADDRESS])
    await broker.start()
    center = make_center(folder / "center", broker.settings(CENTER))
    times = []
    async with running(center):
        keys = public_keys_file(folder / "center")
        box = Box(folder / "orders", broker.settings("box-1"), keys_file=keys)
        async with running(box):
            await box.link.connected()

            async def is_known():
                return bool(await center.boxes())

            await eventually(is_known)
            for _ in range(count):
                began = time.perf_counter()
                async for _ in center.command(ADDRESS, Ping(), Actor(user="bench")):
                    pass
                times.append(time.perf_counter() - began)
    ping_s = await asyncio.to_thread(_ping, broker.port, count)
    await broker.stop()
    p50 = statistics.median(times)
    say("order to final reply, journalled and audited, p50", f"{p50 * 1000:.1f} ms", "< 20 ms")
    say("broker's PINGRESP, p50", f"{ping_s * 1000:.3f} ms")
    say("order / ping", f"{p50 / ping_s:.0f} x", "<= 100 x")


def _ping(port: int, count: int) -> float:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        user = b"\x00\x05box-1" + b"\x00\x0csecret-box-1"
        body = b"\x00\x04MQTT\x04\xc2\x00\x3c\x00\x05box-1" + user
        sock.sendall(b"\x10" + bytes([len(body)]) + body)
        sock.recv(4)
        times = []
        for _ in range(count):
            began = time.perf_counter()
            sock.sendall(b"\xc0\x00")
            sock.recv(2)
            times.append(time.perf_counter() - began)
    return statistics.median(times)


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
        times = []
        for _ in range(2000):
            after = secrets.randbelow(count - 20)
            began = time.perf_counter()
            box.read(connection, E, after, limit=20)
            times.append(time.perf_counter() - began)
        p99 = statistics.quantiles(times, n=100)[98]
        say("peek of 20, p99", f"{p99 * 1000:.2f} ms", "<= 1 ms")
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


async def idle(folder: Path, seconds: float) -> None:
    """Count what an idle box sends and gets; headers are added as a model."""
    broker = Mosquitto(folder / "idle-broker", [ADDRESS])
    await broker.start()
    async with SlowLink(broker.port, 1e12) as line:
        settings = msgspec.structs.replace(
            broker.settings("box-1"), urls=(f"mqtt://127.0.0.1:{line.port}",)
        )
        box = Box(folder / "idle", settings)
        box.telemetry._period_s = 600
        async with running(box):
            await box.link.connected()
            await asyncio.sleep(2.0)
            before = line.carried_bytes
            await asyncio.sleep(seconds)
            carried = line.carried_bytes - before
            said = msgspec.json.encode(await box._sample())
    await broker.stop()
    say(f"idle for {seconds:.0f} s, MQTT bytes but telemetry", str(carried))
    for keepalive_s, period_s in ((60, 30), (60, 300), (240, 300)):
        day = 86_400 / keepalive_s * MQTT_PING_BYTES
        day += 86_400 / period_s * (len(said) + 40 + TCP_MESSAGE_BYTES)
        name = f"a day, keepalive {keepalive_s} s, telemetry {period_s} s (model)"
        say(name, f"{day / 1e6:.2f} MB", "<= 0.3 MB")


async def _acker(settings: str, last: int) -> None:
    center = _QuickCenter(msgspec.json.decode(settings, type=BrokerSettings), last)
    await center.link.run()


@click.command()
@click.option("--events", default=20_000, show_default=True, help="To drain.")
@click.option("--queued", default=1_000_000, show_default=True, help="In the outbox at once.")
@click.option("--idle-s", default=60.0, show_default=True)
@click.option("--acker", hidden=True)
def bench(events: int, queued: int, idle_s: float, acker: str | None) -> None:
    """Measure the voice's costs beside their floors in the same run."""
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
        asyncio.run(idle(folder, idle_s))


if __name__ == "__main__":
    bench()
