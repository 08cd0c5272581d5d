"""Thousands of light boxes in one asyncio process: MQTT 3.1.1 by hand, the contract's own messages.

Each keeps its events until the center's acknowledgement and sends them again after a connection
broke or the center was silent; each reconnects with the agent's own back-off.
"""

import asyncio
import struct
from collections.abc import Iterable
from contextlib import suppress

import msgspec

from agent.contract.acks import Acks
from agent.contract.events import StreamName
from agent.contract.presence import State
from agent.contract.topics import BoxAddress, Channel
from agent.core.clock import SystemClock
from agent.core.ids import new_ulid
from agent.uplink.backoff import Backoff
from tests.spine import encoded_event

_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _SUBSCRIBE, _SUBACK, _PINGREQ = 1, 2, 3, 4, 8, 9, 12
_KEEPALIVE_S = 60
_RTO_S = 10.0
_acks = msgspec.json.Decoder(Acks)


class LightBox:
    """One box: `await run()`; `say` queues an event and sends it when connected."""

    def __init__(self, address: BoxAddress, port: int, backoff: Backoff, password: str = ""):
        self.address, self._port, self._backoff, self._password = address, port, backoff, password
        self.attempts = self.connects = 0
        self.is_up = asyncio.Event()
        self.unacked: dict[int, bytes] = {}
        self._next_seq = 1
        self._writer = None
        self._packet = 0

    def say(self):
        seq = self._next_seq
        self._next_seq += 1
        event_id = new_ulid(SystemClock().utc_now())
        body = encoded_event(self.address, "f1", StreamName.EVENT, seq, event_id)
        self.unacked[seq] = body
        if self.is_up.is_set():
            self._publish(Channel.EVENT, b"[" + body + b"]")

    async def run(self):
        failures = 0
        while True:
            self.attempts += 1
            try:
                async with asyncio.timeout(10.0):
                    await self._connect()
                failures = 0
                await self._live()
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                failures += 1
            finally:
                self.is_up.clear()
                self._close()
            await asyncio.sleep(self._backoff.wait_s(failures))

    async def _connect(self):
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        will = msgspec.json.encode(State(online=False, boot=1, conn=self.attempts))
        name = self.address.box
        flags = 0xEE  # user, password, retained will with QoS 1, clean session
        head = _text("MQTT") + struct.pack(">BBH", 4, flags, _KEEPALIVE_S)
        body = _text(name) + _text(self.address.topic(Channel.STATE)) + _text(will)
        self._send(_CONNECT << 4, head + body + _text(name) + _text(self._password))
        kind, answer = await self._receive()
        if kind >> 4 != _CONNACK or answer[1]:
            raise OSError("refused")
        body = struct.pack(">H", 1) + _text(self.address.down_filter) + b"\x01"
        self._send(_SUBSCRIBE << 4 | 2, body)
        state = State(online=True, boot=1, conn=self.attempts)
        self._publish(Channel.STATE, msgspec.json.encode(state), retain=True)

    async def _live(self):
        self.connects += 1
        self.is_up.set()
        self._send_again()
        async with asyncio.TaskGroup() as tasks:
            beating = tasks.create_task(self._beat())
            try:
                while True:
                    self._take(*await self._receive())
            except (OSError, asyncio.IncompleteReadError):
                self.is_up.clear()
            finally:
                beating.cancel()

    async def _beat(self):
        beats = 0
        while True:
            await asyncio.sleep(_RTO_S)
            beats += 1
            self._send_again()
            if beats % 3 == 0:
                self._send(_PINGREQ << 4, b"")

    def _take(self, kind, body):
        if kind >> 4 != _PUBLISH:
            return
        length = int.from_bytes(body[:2])
        topic, rest = body[2 : 2 + length].decode(), body[2 + length :]
        if kind & 6:
            self._send(_PUBACK << 4, rest[:2])
            rest = rest[2:]
        if topic.endswith("dn/ack"):
            ack = _acks.decode(rest).get(StreamName.EVENT)
            if ack is not None:
                for seq in [seq for seq in self.unacked if seq <= ack.upto]:
                    del self.unacked[seq]

    def _send_again(self):
        for body in list(self.unacked.values()):
            self._publish(Channel.EVENT, b"[" + body + b"]")

    def _publish(self, channel, payload, *, retain=False):
        self._packet = self._packet % 65_535 + 1
        head = _text(self.address.topic(channel)) + struct.pack(">H", self._packet)
        self._send(_PUBLISH << 4 | 2 | retain, head + payload)

    def _send(self, kind, body):
        length, size = bytearray(), len(body)
        while True:
            size, digit = divmod(size, 128)
            length.append(digit | (0x80 if size else 0))
            if not size:
                break
        self._writer.write(bytes([kind]) + bytes(length) + body)

    async def _receive(self):
        kind = (await self._reader.readexactly(1))[0]
        size = shift = 0
        while True:
            digit = (await self._reader.readexactly(1))[0]
            size |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                break
        return kind, await self._reader.readexactly(size)

    def _close(self):
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(OSError):
                writer.transport.abort()


class Fleet:
    """`async with Fleet(...)` runs the boxes; they connect a few hundred a second."""

    def __init__(self, count: int, port: int, backoff: Backoff | None = None):
        self.boxes = [
            LightBox(BoxAddress("site-1", f"light-{n}"), port, backoff or Backoff())
            for n in range(count)
        ]
        self._tasks = asyncio.TaskGroup()
        self._running = []

    async def __aenter__(self):
        await self._tasks.__aenter__()
        for number, box in enumerate(self.boxes):
            self._running.append(self._tasks.create_task(box.run()))
            if number % 50 == 0:
                await asyncio.sleep(0.05)
        await self.all_up()
        return self

    async def __aexit__(self, *error):
        for task in self._running:
            task.cancel()
        await self._tasks.__aexit__(*error)

    async def all_up(self):
        for box in self.boxes:
            await box.is_up.wait()

    async def all_acknowledged(self):
        while any(box.unacked for box in self.boxes):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def _text(text: str | bytes | Iterable[int]) -> bytes:
    raw = text.encode() if isinstance(text, str) else bytes(text)
    return struct.pack(">H", len(raw)) + raw
