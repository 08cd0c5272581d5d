"""Takes what boxes send: stored first, then PUBACKed to the broker and acknowledged to the box."""

import asyncio
from collections.abc import Callable
from functools import partial

import msgspec

from agent.contract.acks import Acks
from agent.contract.commands import Reply
from agent.contract.config import ConfigReport
from agent.contract.info import Info
from agent.contract.presence import State
from agent.contract.records import split
from agent.contract.telemetry import Telemetry
from agent.contract.topics import MAX_BYTES, BoxAddress, Channel, parse
from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.db import Database
from agent.core.errors import LinkError
from agent.simulators.center import boxes, store
from agent.uplink.coding import unpack
from agent.uplink.link import Incoming, Link, Outgoing

_ACK_EVERY_S = 0.2
_MAX_UNPACKED = 64 * 1024
_RECORDS = (Channel.ALARM, Channel.EVENT, Channel.AUDIT)
_log = log.get("center.ingest")


class Acker(Service):
    """Publishes each box's watermarks, retained: the first at once, then at most 5 a second."""

    name = "center.acks"

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.link: Link | None = None
        self._acks: dict[BoxAddress, Acks] = {}
        self._dirty: set[BoxAddress] = set()
        self._said_mono_s: dict[BoxAddress, float] = {}
        self._wake = asyncio.Event()

    def stored(self, address: BoxAddress, acks: Acks) -> None:
        """Say soon that these are stored."""
        self._acks.setdefault(address, {}).update(acks)
        self._dirty.add(address)
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            now = self._clock.monotonic_s()
            waits = [0.0]
            for address in sorted(self._dirty):
                wait_s = self._said_mono_s.get(address, -_ACK_EVERY_S) + _ACK_EVERY_S - now
                if wait_s <= 0:
                    await self._say(address)
                else:
                    waits.append(wait_s)
            if self._dirty:
                self._wake.set()
                await self._clock.sleep_s(max(waits))

    async def _say(self, address: BoxAddress) -> None:
        self._dirty.discard(address)
        body = msgspec.json.encode(self._acks[address])
        if self.link is None:
            return
        try:
            await self.link.publish(Outgoing(address.topic(Channel.ACK), body, retain=True))
        except LinkError:  # the box sends again, and is acknowledged again
            return
        self._said_mono_s[address] = self._clock.monotonic_s()
        self.progressed()


class Ingest:
    """The center link's `received`: returns, and so PUBACKs, once all is committed."""

    def __init__(
        self,
        clock: Clock,
        db: Database,
        acker: Acker,
        on_reply: Callable[[BoxAddress, Reply], None],
        on_change: Callable[[], None],
    ) -> None:
        self._clock, self._db, self._acker = clock, db, acker
        self._on_reply, self._on_change = on_reply, on_change

    async def received(self, message: Incoming) -> None:
        address, channel = parse(message.topic) or (None, None)
        if address is None or channel is None or len(message.payload) > MAX_BYTES[channel]:
            _log.warning("message refused", topic=message.topic, size_bytes=len(message.payload))
            return
        try:
            await self._take(address, channel, message.payload)
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
            _log.warning("message not understood", topic=message.topic, reason=str(error))
            return
        self._on_change()

    async def _take(self, address: BoxAddress, channel: Channel, payload: bytes) -> None:
        now = self._clock.utc_now()
        if channel in _RECORDS:
            parts = split(payload)
            if any(head.source not in ("", address.source) for head, _ in parts):
                _log.warning("a box speaks for another one", box=address.box)
                return
            acks = await self._db.run(partial(store.ingest, address=address, parts=parts, now=now))
            self._acker.stored(address, acks)
        elif channel is Channel.STATE:
            state = msgspec.json.decode(payload, type=State)
            await self._db.run(partial(boxes.saw_state, address=address, state=state, now=now))
        elif channel is Channel.INFO:
            info = msgspec.json.decode(payload, type=Info)
            await self._db.run(partial(boxes.saw_info, address=address, info=info))
        elif channel is Channel.TELEMETRY:
            sample = msgspec.json.decode(unpack(payload, _MAX_UNPACKED), type=Telemetry)
            await self._db.run(
                partial(boxes.saw_telemetry, address=address, sample=sample, now=now)
            )
        elif channel is Channel.CONFIG_REPORT:
            report = msgspec.json.decode(payload, type=ConfigReport)
            await self._db.run(partial(boxes.saw_config, address=address, report=report))
        elif channel is Channel.REPLY:
            self._on_reply(address, msgspec.json.decode(payload, type=Reply))
