"""What an idle box carries in a day, at the shipped defaults, over TLS, there and back.

Counted by the kernel (TCP_INFO), both ways: some keepalives and some health samples of a box with
four cameras, then multiplied, and every record that the real reporters queue in a day
(`idle_records`), each sent by itself and acknowledged by a real center. Told twice: as TCP's
payload (MQTT in TLS records), and with the headers of TCP and IP, bare acknowledgements among them,
as this machine's kernel makes them (with time stamps 12 bytes a segment more than the usual 40 of
models). Not counted: Ethernet or LTE framing, names looked up, the handshake of the one
connection, the center's presence, and anything but MQTT.

`floor` is what keepalives alone would cost if nothing else were sent: a PINGREQ and its answer in
TLS 1.3, three segments, so often that a dead box is missed within a minute.
"""

import asyncio
import random
from pathlib import Path

import msgspec

from agent.contract.events import StreamName
from agent.contract.topics import Channel
from agent.settings.model import BrokerSettings, CenterSettings
from agent.simulators.broker import CENTER
from agent.uplink import coding
from agent.uplink.client import tcp_counts
from agent.uplink.link import Outgoing
from agent.uplink.train_dictionary import sample
from tests.bench.figures import say
from tests.bench.idle_records import records_of_a_day
from tests.brokers import Mosquitto
from tests.certificates import write_certificate
from tests.spine import ADDRESS, Box, make_center, running

_DAY_S = 86_400
_KEEPALIVE_S = 5  # the shortest there is: a ping is a ping
_SAMPLES = 5
_PING, _PING_IN_TLS = 2, 2 + 22  # header, kind of content and tag of a record (RFC 8446 5.2)
_HEADERS = 40  # TCP and IPv4 without options


async def idle(folder: Path, seconds: float, hours: int = 24) -> None:
    day = await records_of_a_day(folder / "idle-day", hours)
    broker = _with_tls(folder)
    await broker.start()
    ours, theirs = (
        msgspec.structs.replace(
            broker.settings(user),
            urls=(f"mqtts://localhost:{broker.port}",),
            ca_file=str(folder / "ca.pem"),
            keepalive_s=_KEEPALIVE_S,
        )
        for user in (ADDRESS.box, CENTER)
    )
    box = Box(folder / "idle", ours)
    box.telemetry._period_s = 6000
    async with running(make_center(folder / "idle-center", theirs)), running(box):
        await box.link.connected()
        await asyncio.sleep(3.0)
        pings = max(1, round(seconds / _KEEPALIVE_S))
        ping = await _carried(box, asyncio.sleep(pings * _KEEPALIVE_S), pings)
        told = await _carried(box, _tell(box), _SAMPLES)
        kept = await _carried(box, _queue(box, day), 1)
    await broker.stop()
    kept = tuple(each * 24 / hours for each in kept)
    say("a keepalive, TCP payload / with headers", _both(ping, 0, "bytes"))
    say("a health sample of 4 cameras, the same", _both(told, 0, "bytes"))
    say(f"a day's {len(day) * 24 // hours} records, with their acknowledgements", _both(kept))
    period_s = CenterSettings().telemetry_s
    for kind in ("wired", "lte"):
        keepalive_s = BrokerSettings(link=kind).ping_s
        parts = [
            tuple(_DAY_S / every_s * each for each in counts)
            for every_s, counts in ((keepalive_s, ping), (period_s, told), (_DAY_S, kept))
        ]
        payload, wire = (sum(each) / 1e6 for each in zip(*parts, strict=True))
        name = f"a day on {kind}, keepalive {keepalive_s} s, telemetry {period_s:.0f} s"
        say(f"{name}: pings", _both(parts[0]))
        say(f"{name}: telemetry", _both(parts[1]))
        say(f"{name}, TCP payload", f"{payload:.3f} MB", _verdict(payload))
        say(f"{name}, with headers", f"{wire:.2f} MB", _verdict(wire))
        floor = _DAY_S / keepalive_s * (2 * _PING_IN_TLS + 3 * _HEADERS) / 1e6
        bare = _DAY_S / keepalive_s * (2 * _PING + 3 * _HEADERS) / 1e6
        say(
            f"floor on {kind}: these pings alone, in TLS / in plain TCP",
            f"{floor:.2f} / {bare:.2f} MB",
        )


def _verdict(megabytes: float) -> str:
    return "<= 0.3 MB" if megabytes <= 0.3 else "<= 0.3 MB: missed"


def _both(counts: tuple[float, ...], digits: int = 3, unit: str = "MB") -> str:
    """Return payload and bytes with headers, side by side."""
    scale = 1e6 if unit == "MB" else 1
    return " / ".join(f"{each / scale:.{digits}f}" for each in counts) + f" {unit}"


async def _queue(box: Box, day: list[tuple[StreamName, bytes]]) -> None:
    """Queue each record when the one before was acknowledged: in a day they come one by one."""
    for stream, body in day:
        record = msgspec.json.decode(body)

        def build(seq: int, record: dict = record) -> bytes:
            return msgspec.json.encode(record | {"seq": seq, "epoch": box.outbox.epoch})

        await box.outbox.append(stream, build, event_id=record["id"])
        await box.all_acknowledged()


async def _carried(box: Box, doing, times: int) -> tuple[float, float]:
    """Return TCP's payload, and all bytes with headers, per time while `doing` was done."""
    before = tcp_counts(box.link._client)
    await doing
    after = tcp_counts(box.link._client)
    payload = (after[0] - before[0]) / times
    return payload, payload + (after[1] - before[1]) / times


async def _tell(box: Box) -> None:
    chance = random.Random(7)
    for _ in range(_SAMPLES):
        body = coding.pack(msgspec.json.encode(sample(chance, is_idle=True)))
        await box.link.publish(Outgoing(ADDRESS.topic(Channel.TELEMETRY), body, qos=0))
        await asyncio.sleep(0.3)  # a bare ACK of its own, as in a day


def _with_tls(folder: Path) -> Mosquitto:
    ca = write_certificate(folder, "ca")
    write_certificate(folder, "broker", ca)
    extra = f"cafile {folder}/ca.pem\ncertfile {folder}/broker.pem\nkeyfile {folder}/broker.key\n"
    return Mosquitto(folder / "idle-broker", [ADDRESS], extra)
