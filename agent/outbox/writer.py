"""The outbox as the core process uses it: append, read, acknowledge, wake the sender at once."""

import sqlite3
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial

from agent.contract.acks import Acks
from agent.contract.events import StreamName
from agent.contract.telemetry import OutboxSample
from agent.core.clock import Clock
from agent.core.db import Database
from agent.outbox import replay
from agent.outbox.replay import MOST_AT_ONCE, Found, Range
from agent.outbox.store import Delivery, Record, Store, StreamCounts

_REPLAY_CHUNK = 200


class Outbox:
    """Call `await start()` once the database is open."""

    def __init__(self, db: Database, store: Store, clock: Clock) -> None:
        self._db, self._store, self._clock = db, store, clock
        self._appended = dict.fromkeys(StreamName, 0)  # counted by the writer thread alone
        self._seen = dict(self._appended)
        self._listeners: list[Callable[[Collection[StreamName]], None]] = []
        self._counts: dict[StreamName, StreamCounts] | None = None  # as of the last commit
        self._commits = 0
        db.on_commit(self._wake)

    @property
    def epoch(self) -> str:
        """The random name of this outbox's numbering; it changes only when the outbox is lost."""
        return self._store.epoch

    @property
    def boot(self) -> int:
        """The number of the boot in which records are queued now."""
        return self._store.boot

    async def start(self) -> None:
        await self._db.run(self._store.open)

    def append_in(
        self,
        connection: sqlite3.Connection,
        stream: StreamName,
        build: Callable[[int], bytes],
        *,
        event_id: str,
        phase: str = "new",
        true_mono_s: float | None = None,
    ) -> int:
        """Queue a record inside the caller's `db.run` transaction; return its number.

        `build(seq)` returns the record's bytes. `true_mono_s` is when the rule became true. Raises
        `StorageError`. The sender wakes when the transaction is committed.
        """
        seq = self._store.append(
            connection, stream, build, event_id=event_id, phase=phase, true_mono_s=true_mono_s
        )
        self._appended[stream] += 1
        return seq

    async def append(
        self,
        stream: StreamName,
        build: Callable[[int], bytes],
        *,
        event_id: str,
        phase: str = "new",
        true_mono_s: float | None = None,
    ) -> int:
        """Queue a record in a transaction of its own; it is on the disk when this returns."""
        return await self._db.run(
            lambda connection: self.append_in(
                connection, stream, build, event_id=event_id, phase=phase, true_mono_s=true_mono_s
            )
        )

    async def read(
        self, stream: StreamName, after: int, limit: int, max_bytes: int
    ) -> list[Record]:
        """Return the next records behind number `after`, with gaps for what is gone."""
        return await self._db.run(
            lambda connection: self._store.read(
                connection, stream, after, limit=limit, max_bytes=max_bytes
            )
        )

    async def acknowledge(self, acks: Acks) -> dict[StreamName, int]:
        """Take the center's word; return the watermarks of the streams it spoke of."""
        return await self._db.run(lambda connection: self._store.acknowledge(connection, acks))

    async def watermarks(self) -> dict[StreamName, int]:
        """Return, for each stream, the number up to which the center has all."""
        return {stream: counts.acked for stream, counts in (await self.counts()).items()}

    async def counts(self) -> dict[StreamName, StreamCounts]:
        """Return the counters of every stream, asked of the disk only after a commit."""
        if self._counts is not None:
            return self._counts
        commits = self._commits
        counts = await self._db.run(self._store.counts)
        if commits == self._commits:  # else it may be of before the newest commit
            self._counts = counts
        return counts

    async def deliveries(self, stream: StreamName) -> list[Delivery]:
        """Return the life of each record still known: queued when, acknowledged when."""
        return await self._db.run(lambda connection: self._store.deliveries(connection, stream))

    async def sample(self, resent_total: int = 0) -> OutboxSample:
        """Return the counters over all streams, for telemetry."""
        return self.sum_up(await self.counts(), resent_total)

    def sum_up(self, of: Mapping[StreamName, StreamCounts], resent_total: int = 0) -> OutboxSample:
        """Return what `counts` told, over all streams."""
        counts = of.values()
        oldest = min((c.oldest_mono_s for c in counts if c.oldest_mono_s is not None), default=None)
        return OutboxSample(
            waiting=sum(c.waiting for c in counts),
            waiting_bytes=sum(c.waiting_bytes for c in counts),
            oldest_s=None if oldest is None else round(self._clock.monotonic_s() - oldest, 1),
            queued_total=sum(c.next_seq - 1 for c in counts),
            acked_total=sum(c.acked for c in counts),
            evicted_total=sum(c.evicted_total for c in counts),
            resent_total=resent_total,
        )

    async def replay(self, wanted: Range) -> int:
        """Send acknowledged records once more; return how many. Raises `StorageError`."""
        acked = (await self.watermarks())[wanted.stream]  # not the copies themselves
        wanted = replace(wanted, last=acked if wanted.last is None else min(acked, wanted.last))
        after: int | None = 0
        copied = 0
        while after is not None and copied < MOST_AT_ONCE:
            found, count = await self._db.run(partial(self._replay_some, wanted, after))
            after, copied = found.looked_at, copied + count
        return copied

    def _replay_some(
        self, wanted: Range, after: int, connection: sqlite3.Connection
    ) -> tuple[Found, int]:
        found = replay.find(connection, wanted, after, _REPLAY_CHUNK)
        count = replay.requeue(connection, self._store, wanted.stream, found.numbers)
        self._appended[wanted.stream] += count
        return found, count

    def on_news(self, listener: Callable[[Collection[StreamName]], None]) -> None:
        """Call `listener` in the event loop with the streams in which something was committed."""
        self._listeners.append(listener)

    def _wake(self) -> None:
        self._counts, self._commits = None, self._commits + 1
        counts = dict(self._appended)
        news = [stream for stream, count in counts.items() if count != self._seen[stream]]
        self._seen = counts
        if news:
            for listener in self._listeners:
                listener(news)
