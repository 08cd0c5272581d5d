"""Sends the outbox to the center, alarms first, until the center itself has acknowledged it.

Go-back-N: send behind the watermark up to a window; without progress for RTO, or on a nak, start
again behind the watermark (the center discards what it has). Round after round: a round is a few
messages of at most `window_bytes` together, so a slow link never holds a fresh alarm up for long.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agent.contract.acks import Acks
from agent.contract.events import StreamName
from agent.contract.records import join
from agent.contract.topics import CHANNEL_OF, MAX_BATCH, MAX_BYTES, BoxAddress, Channel
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.core.errors import LinkError, StorageError
from agent.uplink.link import Link, Outgoing

WINDOW_RECORDS = 2_000
WINDOW_MESSAGES = 200  # of each stream: a broker may keep no more than 1,000 for an absent center
_ROUND_MESSAGES = 20
_RTO_FIRST_S, _RTO_MAX_S = 2.0, 60.0
_IDLE_S = 5.0
_PROBE_S = 60.0
_CRUMBS = 8
_LINGER_S = 0.2  # what comes together goes together, and out of the way of the order it is about
_UNHURRIED = frozenset({StreamName.AUDIT, StreamName.TELEMETRY})
_ORDER = (StreamName.ALARM, StreamName.AUDIT, StreamName.EVENT, StreamName.TELEMETRY)


class Record(Protocol):
    """One record, or a gap of several numbers."""

    @property
    def seq(self) -> int: ...

    @property
    def last_seq(self) -> int: ...

    @property
    def body(self) -> bytes: ...


class Source(Protocol):
    """The outbox, as far as the sender needs it."""

    async def watermarks(self) -> dict[StreamName, int]: ...

    async def read(
        self, stream: StreamName, after: int, limit: int, max_bytes: int
    ) -> Sequence[Record]: ...

    async def acknowledge(self, acks: Acks) -> dict[StreamName, int]: ...

    def on_news(self, listener: Callable[[Collection[StreamName]], None]) -> None: ...


@dataclass(slots=True)
class _Position:
    """How far one stream is. `due_mono_s` is when the center should have acknowledged.

    Its time to answer begins when a message is through, however slow the line; `since_mono_s` is
    when the message was begun.
    """

    acked: int
    sent: int
    rto_s: float = _RTO_FIRST_S
    since_mono_s: float | None = None
    due_mono_s: float | None = None
    nak: int | None = None
    nak_mono_s: float = 0.0
    not_before_mono_s: float = 0.0
    is_drained: bool = False  # nothing behind `sent`: no need to ask until something comes
    messages: deque[int] = field(default_factory=deque)  # the last number in each one under way

    def room(self) -> int:
        if len(self.messages) >= WINDOW_MESSAGES:
            return 0
        return WINDOW_RECORDS - (self.sent - self.acked)

    def reached(self, upto: int) -> None:
        """The center has all up to `upto`."""
        self.acked, self.sent = upto, max(self.sent, upto)
        while self.messages and self.messages[0] <= upto:
            self.messages.popleft()

    def rewind(self) -> int:
        """Go back to the watermark; return how many numbers will be sent again."""
        again, self.sent = self.sent - self.acked, self.acked
        self.since_mono_s = self.due_mono_s = None
        self.is_drained = False
        self.messages.clear()
        return max(0, again)


class Sender(Service):
    """Runs in the core process, one per box.

    `lighten` returns a record as it is sent now. `echo` returns what else is told of a record, once
    and without an acknowledgement.
    """

    name = "uplink.sender"

    def __init__(
        self,
        clock: Clock,
        link: Link,
        outbox: Source,
        address: BoxAddress,
        window_bytes: int,
        lighten: Callable[[StreamName, bytes], bytes] = lambda _, body: body,
        echo: Callable[[bytes], Outgoing | None] = lambda _: None,
    ) -> None:
        super().__init__(clock)
        self._lighten, self._echo = lighten, echo
        self._echoed: dict[StreamName, int] = {}
        self._link, self._outbox, self._address = link, outbox, address
        self._window_bytes = window_bytes
        self._positions: dict[StreamName, _Position] = {}
        self._wake = asyncio.Event()
        self.center_online = True  # until the center says otherwise
        self._probed_mono_s = clock.monotonic_s()
        self._center_said = False  # that it is there, in its own words
        self._unheard_since_mono_s: float | None = None
        self.resent_total = 0
        self.ack_ms: float | None = None
        outbox.on_news(self._news)

    async def start(self) -> None:
        marks = await self._outbox.watermarks()
        self._positions = {stream: _Position(marks[stream], marks[stream]) for stream in _ORDER}
        self._echoed = self._echoed or dict(marks)

    async def run(self) -> None:
        while True:
            self.progressed()
            try:
                async with asyncio.timeout(_IDLE_S):
                    connection = await self._link.connected()
            except TimeoutError:
                continue
            self._rewind_all()
            self._unheard_since_mono_s = None
            await self._drain(connection)

    @property
    def unheard_s(self) -> float:
        """How long the center, which says that it is there, has acknowledged nothing we sent.

        The broker's PUBACKs say nothing: with MQTT 3.1.1 a refused message is PUBACKed too.
        """
        since = self._unheard_since_mono_s
        return 0.0 if since is None else self._clock.monotonic_s() - since

    async def acknowledged(self, acks: Acks) -> None:
        """Take the center's word: what it has may go, what it misses is sent again."""
        marks = await self._outbox.acknowledge(acks)
        now = self._clock.monotonic_s()
        for stream, upto in marks.items():
            position, nak = self._positions.get(stream), acks[stream].nak
            if position is None:  # not started yet; it will read the watermarks then
                continue
            if upto > position.acked:
                self._unheard_since_mono_s = None
                self._advance(position, upto, now)
                self.center_online = True  # who acknowledges is there
            if nak is not None:
                self._missed(position, nak, now)
        self._wake.set()

    def center_is(self, online: bool) -> None:
        """The center's ingest came or went: sending for nobody would only cost."""
        if online and not self.center_online:
            self._rewind_all()
        self.center_online, self._center_said = online, online
        if not online:
            self._unheard_since_mono_s = None
        self._wake.set()

    async def _drain(self, connection: int) -> None:
        while self._link.is_up(connection):
            self._wake.clear()
            self.progressed()
            self._go_back_when_due()
            messages = await self._next_round() if self._may_send() else []
            if messages:
                await self._publish(messages)
            else:
                await self._wait()

    async def _publish(self, messages: list[Outgoing]) -> None:
        """Publish a round at once, in order, and wait for all PUBACKs."""
        # Not a TaskGroup: cancelled while a child fails, it would forget the cancellation.
        results = await asyncio.gather(
            *(self._link.publish(message) for message in messages), return_exceptions=True
        )
        for error in results:
            if isinstance(error, LinkError):
                self._rewind_all()  # the link reconnects; what has no ack is sent again
            elif error is not None:
                raise error
        now = self._clock.monotonic_s()
        for position in self._positions.values():
            if position.due_mono_s is None and position.sent > position.acked:
                position.due_mono_s = now + position.rto_s
        waits = any(position.sent > position.acked for position in self._positions.values())
        if waits and self._center_said and self._unheard_since_mono_s is None:
            self._unheard_since_mono_s = self._clock.monotonic_s()

    def _may_send(self) -> bool:
        """Send while the center is there; else one round now and then, in case its word was lost.

        Its presence comes with QoS 0: a box that trusted it blindly could wait for ever.
        """
        now = self._clock.monotonic_s()
        if self.center_online or now - self._probed_mono_s >= _PROBE_S:
            self._probed_mono_s = now
            return True
        return False

    async def _wait(self) -> None:
        """Wait for news, an ack or the next time-out; for a link that ended, a moment at most."""
        now = self._clock.monotonic_s()
        positions = self._positions.values()
        due = [p.due_mono_s - now for p in positions if p.due_mono_s is not None]
        due += [p.not_before_mono_s - now for p in positions if p.not_before_mono_s > now]
        try:
            async with asyncio.timeout(max(0.0, min([to_tick_s(self._clock, _IDLE_S), *due]))):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _next_round(self) -> list[Outgoing]:
        messages: list[Outgoing] = []
        left, least = self._window_bytes, self._window_bytes // _CRUMBS
        for stream in _ORDER:
            # A message for the crumbs of a window costs as much as a full one.
            while left >= least and len(messages) < _ROUND_MESSAGES:
                message = await self._next(stream, left if messages else self._window_bytes)
                if not message:
                    break
                messages += message
                left -= sum(len(part.payload) for part in message)
        return messages

    async def _next(self, stream: StreamName, max_bytes: int) -> list[Outgoing]:
        """Return the next message of a stream and its echoes; empty when there is none."""
        position, channel = self._positions[stream], CHANNEL_OF[stream]
        single = channel is Channel.ALARM
        limit = min(1 if single else MAX_BATCH, position.room())
        if limit <= 0 or position.is_drained:
            return []
        if self._clock.monotonic_s() < position.not_before_mono_s:
            return []
        most = min(max_bytes, MAX_BYTES[channel]) - 2  # the brackets
        after = position.sent
        position.is_drained = True  # unless news comes while it is read
        try:
            records = await self._outbox.read(stream, after, limit, most)
        except StorageError:  # a full disk takes no transaction at all; looked at again
            position.is_drained = False
            return []
        if not records:
            return []
        position.is_drained = False
        if position.sent != after:  # an ack or nak moved it meanwhile
            return []
        position.sent = records[-1].last_seq
        position.messages.append(position.sent)
        if position.since_mono_s is None:
            position.since_mono_s = self._clock.monotonic_s()
        bodies = [self._lighten(stream, record.body) for record in records]
        body = bodies[0] if single else join(bodies)
        return [Outgoing(self._address.topic(channel), body), *self._echoes(stream, records)]

    def _echoes(self, stream: StreamName, records: Sequence[Record]) -> list[Outgoing]:
        """Return the echoes of records that are sent for the first time since the start."""
        fresh = [record for record in records if record.seq > self._echoed[stream]]
        self._echoed[stream] = max(self._echoed[stream], records[-1].last_seq)
        return [told for record in fresh if (told := self._echo(record.body)) is not None]

    def _news(self, streams: Collection[StreamName]) -> None:
        now = self._clock.monotonic_s()
        for stream, position in self._positions.items():
            if stream in streams:
                if position.is_drained and stream in _UNHURRIED:
                    position.not_before_mono_s = now + _LINGER_S
                position.is_drained = False
        self._wake.set()

    def _advance(self, position: _Position, upto: int, now: float) -> None:
        if position.since_mono_s is not None:
            self.ack_ms = (now - position.since_mono_s) * 1000
        position.reached(upto)
        position.rto_s = _RTO_FIRST_S
        waits = position.sent > position.acked
        position.since_mono_s = now if waits else None
        position.due_mono_s = now + position.rto_s if waits else None

    def _missed(self, position: _Position, nak: int, now: float) -> None:
        """Send again from `nak`; the same one only once per RTO, since acks repeat it.

        It may lie below the watermark, when the center lost what it had acknowledged.
        """
        if nak > position.sent or (
            nak == position.nak and now - position.nak_mono_s < position.rto_s
        ):
            return
        self.resent_total += position.sent - nak + 1
        position.nak, position.nak_mono_s, position.sent = nak, now, nak - 1
        while position.messages and position.messages[-1] >= nak:
            position.messages.pop()
        position.is_drained = False

    def _go_back_when_due(self) -> None:
        now = self._clock.monotonic_s()
        for position in self._positions.values():
            if position.due_mono_s is not None and now >= position.due_mono_s:
                position.rto_s = min(_RTO_MAX_S, position.rto_s * 2)
                self.resent_total += position.rewind()

    def _rewind_all(self) -> None:
        for position in self._positions.values():
            self.resent_total += position.rewind()
            position.rto_s = _RTO_FIRST_S
