"""From an order to its final reply, beside the broker's own round trips.

Box and center are processes of their own, as they are in a city. The ping is a PINGREQ (what
CONTRACT calls the broker's ping), once by a bare socket in a loop and once through asyncio, which
both of ours go through; they take turns with the orders, so that all meet the same machine. The
third is a QoS 1 message to oneself: an order and its reply are two, with two commits between them.

The round trip is counted from the moment the signed order is handed to the center's link until its
final reply was read; with it goes what the stand-in center does before: its database, signing.
"""

import asyncio
import socket
import statistics
import sys
import time
from pathlib import Path

import msgspec

from agent.contract.commands import Actor, Ping
from agent.contract.topics import BoxAddress, center_state_topic
from agent.settings.model import BrokerSettings
from agent.simulators.broker import CENTER
from agent.simulators.center.center import Center
from agent.simulators.center.commander import public_keys_file
from agent.uplink.link import Outgoing
from tests.bench.figures import say
from tests.brokers import Mosquitto
from tests.spine import ADDRESS, Box, eventually, make_center, running

PINGER = BoxAddress("site-1", "box-2")
_TURNS = 6


async def box_for_orders(folder: str, settings: str, keys_file: str) -> None:
    """Be the box, until killed."""
    broker = msgspec.json.decode(settings, type=BrokerSettings)
    box = Box(Path(folder), broker, keys_file=Path(keys_file))
    box.telemetry._period_s = 600
    async with running(box):
        await asyncio.Event().wait()


async def orders(folder: Path, count: int) -> None:
    broker = Mosquitto(folder / "order-broker", [ADDRESS, PINGER])
    await broker.start()
    center = make_center(folder / "center", broker.settings(CENTER))
    whole, trips, bare, through = [], [], [], []
    async with running(center):
        box = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.uplink", "--box", folder / "orders"),
            msgspec.json.encode(broker.settings("box-1")).decode(),
            public_keys_file(folder / "center"),
        )

        async def is_known():
            return bool(await center.boxes())

        await eventually(is_known)
        for _ in range(_TURNS):
            for _ in range(max(1, count // _TURNS)):
                took_s, trip_s = await _order(center)
                whole.append(took_s)
                trips.append(trip_s)
            bare += await asyncio.to_thread(_bare_pings, broker.port, count // _TURNS + 2)
            through += await _pings(broker.port, count // _TURNS + 2)
        box.terminate()
        await box.wait()
    rounds = await _messages_to_oneself(broker.port, count)
    await broker.stop()
    p50 = statistics.median(trips)
    say("order to final reply, journalled and audited, p50", f"{p50 * 1000:.2f} ms", "< 20 ms")
    say("with the center's own work before it, p50", f"{statistics.median(whole) * 1000:.2f} ms")
    floors = {
        "PINGREQ through asyncio": statistics.median(through),
        "PINGREQ by a bare socket": statistics.median(bare),
        "QoS 1 message to oneself": statistics.median(rounds),
    }
    for name, floor_s in floors.items():
        say(f"{name}, p50", f"{floor_s * 1000:.3f} ms")
    for name, floor_s in floors.items():
        ratio = p50 / floor_s
        verdict = "<= 100 x" if ratio <= 100 else "<= 100 x: missed"
        say(f"order / {name}", f"{ratio:.0f} x", verdict if "PINGREQ" in name else "")


async def _order(center: Center) -> tuple[float, float]:
    """Order a ping; return how long it took, and how long from the order's going out."""
    commander, began = center._commander, time.perf_counter()
    publish, out = commander._publish, []

    async def publish_and_note(message: Outgoing) -> None:
        out.append(time.perf_counter())
        await publish(message)

    commander._publish = publish_and_note
    async for _ in center.command(ADDRESS, Ping(), Actor(user="bench")):
        pass
    ended, commander._publish = time.perf_counter(), publish
    return ended - began, ended - out[0]


def _connect(user: str) -> bytes:
    """Return a CONNECT of MQTT 3.1.1."""
    name, password = _text(user), _text(f"secret-{user}")
    body = _text("MQTT") + b"\x04\xc2\x00\x3c" + name + name + password
    return b"\x10" + bytes([len(body)]) + body


def _text(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def _bare_pings(port: int, count: int) -> list[float]:
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(_connect(PINGER.box))
        sock.recv(4)
        times = []
        for _ in range(count):
            began = time.perf_counter()
            sock.sendall(b"\xc0\x00")
            sock.recv(2)
            times.append(time.perf_counter() - began)
    return times


async def _pings(port: int, count: int) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_connect(PINGER.box))
    await reader.readexactly(4)
    times = []
    for _ in range(count):
        began = time.perf_counter()
        writer.write(b"\xc0\x00")
        await reader.readexactly(2)
        times.append(time.perf_counter() - began)
    writer.close()
    return times


async def _messages_to_oneself(port: int, count: int) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    topic = _text(center_state_topic("bench"))  # its user may write and read this
    writer.write(_connect(CENTER))
    writer.write(b"\x82" + bytes([len(topic) + 3]) + b"\x00\x01" + topic + b"\x01")
    await reader.readexactly(4 + 5)
    message = b"\x32" + bytes([len(topic) + 4]) + topic + b"\x00\x02{}"
    times = []
    for _ in range(count):
        began = time.perf_counter()
        writer.write(message)
        mine = await _message_and_puback(reader)
        times.append(time.perf_counter() - began)
        writer.write(b"\x40\x02" + mine)
    writer.close()
    return times


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
