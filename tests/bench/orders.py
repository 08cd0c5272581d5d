"""From an order to its final reply, beside the broker's own round trips.

Box and center are processes of their own, as they are in a city. The ping is a PINGREQ (what
CONTRACT calls the broker's ping), once by a bare socket in a loop and once through asyncio, which
both of ours go through; the third is a QoS 1 message to oneself, which is what an order is made of:
five of those lie between an order and its last reply, with two commits to the disk in between.
"""

import asyncio
import socket
import statistics
import sys
import time
from pathlib import Path

import msgspec

from agent.contract.commands import Actor, Ping
from agent.contract.topics import center_state_topic
from agent.settings.model import BrokerSettings
from agent.simulators.broker import CENTER
from agent.simulators.center.commander import public_keys_file
from tests.bench.figures import say
from tests.brokers import Mosquitto
from tests.spine import ADDRESS, Box, eventually, make_center, running


async def box_for_orders(folder: str, settings: str, keys_file: str) -> None:
    """Be the box, until killed."""
    broker = msgspec.json.decode(settings, type=BrokerSettings)
    box = Box(Path(folder), broker, keys_file=Path(keys_file))
    box.telemetry._period_s = 600
    async with running(box):
        await asyncio.Event().wait()


async def orders(folder: Path, count: int) -> None:
    broker = Mosquitto(folder / "order-broker", [ADDRESS])
    await broker.start()
    center = make_center(folder / "center", broker.settings(CENTER))
    times = []
    async with running(center):
        box = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.uplink", "--box", folder / "orders"),
            msgspec.json.encode(broker.settings("box-1")).decode(),
            public_keys_file(folder / "center"),
        )

        async def is_known():
            return bool(await center.boxes())

        await eventually(is_known)
        for _ in range(count):
            began = time.perf_counter()
            async for _ in center.command(ADDRESS, Ping(), Actor(user="bench")):
                pass
            times.append(time.perf_counter() - began)
        box.terminate()
        await box.wait()
    bare_s = await asyncio.to_thread(_bare_ping, broker.port, count)
    ping_s, round_s = await _pings(broker.port, count)
    await broker.stop()
    p50 = statistics.median(times)
    say("order to final reply, journalled and audited, p50", f"{p50 * 1000:.1f} ms", "< 20 ms")
    say("PINGREQ by a bare socket, p50", f"{bare_s * 1000:.3f} ms")
    say("PINGREQ through asyncio, p50", f"{ping_s * 1000:.3f} ms")
    say("QoS 1 message to oneself through the broker, p50", f"{round_s * 1000:.3f} ms")
    for how, floor_s in (("through asyncio", ping_s), ("by a bare socket", bare_s)):
        ratio = p50 / floor_s
        verdict = "<= 100 x" if ratio <= 100 else "<= 100 x: missed"
        say(f"order / PINGREQ {how}", f"{ratio:.0f} x", verdict)
    say("order / message to oneself", f"{p50 / round_s:.0f} x")


def _connect(user: str) -> bytes:
    """Return a CONNECT of MQTT 3.1.1."""
    name, password = _text(user), _text(f"secret-{user}")
    body = _text("MQTT") + b"\x04\xc2\x00\x3c" + name + name + password
    return b"\x10" + bytes([len(body)]) + body


def _text(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def _bare_ping(port: int, count: int) -> float:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(_connect("box-1"))
        sock.recv(4)
        times = []
        for _ in range(count):
            began = time.perf_counter()
            sock.sendall(b"\xc0\x00")
            sock.recv(2)
            times.append(time.perf_counter() - began)
    return statistics.median(times)


async def _pings(port: int, count: int) -> tuple[float, float]:
    """Return the medians of PINGREQ and of a QoS 1 message to oneself, both through asyncio."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    topic = _text(center_state_topic("bench"))  # its user may write and read this
    writer.write(_connect(CENTER))
    writer.write(b"\x82" + bytes([len(topic) + 3]) + b"\x00\x01" + topic + b"\x01")
    await reader.readexactly(4 + 5)
    message = b"\x32" + bytes([len(topic) + 4]) + topic + b"\x00\x02{}"
    pings, rounds = [], []
    for _ in range(count):
        began = time.perf_counter()
        writer.write(b"\xc0\x00")
        await reader.readexactly(2)
        pings.append(time.perf_counter() - began)
        began = time.perf_counter()
        writer.write(message)
        mine = await _message_and_puback(reader)
        rounds.append(time.perf_counter() - began)
        writer.write(b"\x40\x02" + mine)
    writer.close()
    return statistics.median(pings), statistics.median(rounds)


async def _message_and_puback(reader: asyncio.StreamReader) -> bytes:
    """Wait for both, in whatever order; return the message's packet id."""
    mine, pubacked = b"", False
    while not (mine and pubacked):
        kind, length = await reader.readexactly(2)
        body = await reader.readexactly(length)
        if kind >> 4 == 3:
            mine = body[-4:-2]
        else:
            pubacked = True
    return mine
