"""What an idle box carries in a day, at the shipped defaults, over TLS.

Measured: some keepalives and some health samples of a box with four cameras, counted by the kernel
(TCP_INFO) with and without TCP/IP headers. Then multiplied: so many of each in a day.
"""

import asyncio
import random
from pathlib import Path

import msgspec

from agent.contract.topics import Channel
from agent.settings.model import BrokerSettings, CenterSettings
from agent.uplink import coding
from agent.uplink.client import tcp_counts
from agent.uplink.link import Outgoing
from agent.uplink.train_dictionary import sample
from tests.bench.figures import say
from tests.brokers import Mosquitto
from tests.certificates import write_certificate
from tests.spine import ADDRESS, Box, running

_DAY_S = 86_400
_HEADERS = 40
_KEEPALIVE_S = 5  # the shortest there is: a ping is a ping
_SAMPLES = 5


async def idle(folder: Path, seconds: float) -> None:
    broker = _with_tls(folder)
    await broker.start()
    settings = msgspec.structs.replace(
        broker.settings("box-1"),
        urls=(f"mqtts://localhost:{broker.port}",),
        ca_file=str(folder / "ca.pem"),
        keepalive_s=_KEEPALIVE_S,
    )
    box = Box(folder / "idle", settings)
    box.telemetry._period_s = 6000
    async with running(box):
        await box.link.connected()
        await asyncio.sleep(2.0)
        pings = max(1, round(seconds / _KEEPALIVE_S))
        ping = await _carried(box, asyncio.sleep(pings * _KEEPALIVE_S), pings)
        told = await _carried(box, _tell(box), _SAMPLES)
    await broker.stop()
    say("a keepalive, TCP payload / with headers", f"{ping[0]:.0f} / {ping[1]:.0f} bytes")
    say("a health sample of 4 cameras, the same", f"{told[0]:.0f} / {told[1]:.0f} bytes")
    period_s = CenterSettings().telemetry_s
    for kind in ("wired", "lte"):
        keepalive_s = BrokerSettings(link=kind).ping_s
        payload, wire = (
            _DAY_S / keepalive_s * p + _DAY_S / period_s * t
            for p, t in zip(ping, told, strict=True)
        )
        name = f"a day on {kind}, keepalive {keepalive_s} s, telemetry {period_s:.0f} s"
        say(f"{name}, TCP payload", f"{payload / 1e6:.2f} MB", "<= 0.3 MB")
        say(f"{name}, with headers", f"{wire / 1e6:.2f} MB", "<= 0.3 MB" * (kind == "lte"))


async def _carried(box: Box, doing, times: int) -> tuple[float, float]:
    """Return TCP's payload, and all bytes with headers, per time while `doing` was done."""
    before = tcp_counts(box.link._client)
    await doing
    after = tcp_counts(box.link._client)
    payload = (after[0] - before[0]) / times
    return payload, payload + _HEADERS * (after[1] - before[1]) / times


async def _tell(box: Box) -> None:
    chance = random.Random(7)
    for _ in range(_SAMPLES):
        body = coding.pack(msgspec.json.encode(sample(chance)))
        await box.link.publish(Outgoing(ADDRESS.topic(Channel.TELEMETRY), body, qos=0))
        await asyncio.sleep(0.3)  # a bare ACK of its own, as in a day


def _with_tls(folder: Path) -> Mosquitto:
    ca = write_certificate(folder, "ca")
    write_certificate(folder, "broker", ca)
    extra = f"cafile {folder}/ca.pem\ncertfile {folder}/broker.pem\nkeyfile {folder}/broker.key\n"
    return Mosquitto(folder / "idle-broker", [ADDRESS], extra)
