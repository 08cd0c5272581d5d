"""The box's own alarms held against its standing policies: what they allow begins by itself.

It looks at the newest incidents when something was written, for then one may have begun, and every
few seconds, for then a policy may have. An incident that began while the agent was away for longer
than a moment is left to people.
"""

import asyncio
import sqlite3
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import msgspec

from agent.contract.events import EventData
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.core.db import Database
from agent.grants.policies import Policies

LOOK_EVERY_S, AT_MOST_EVERY_S = 5.0, 0.2
FRESH = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class _Alarm:
    event_id: str
    camera_id: str
    kind: str
    zone: str


class PolicyWatch(Service):
    """One incident is held against the policies once, when it begins."""

    name = "policy-watch"

    def __init__(self, clock: Clock, db: Database, policies: Policies) -> None:
        super().__init__(clock)
        self._db, self._policies = db, policies
        self._seen: dict[str, None] = {}
        self._news = asyncio.Event()
        db.on_commit(self._news.set)

    async def run(self) -> None:
        was_news = True
        while True:
            self._news.clear()
            if await self._policies.holding():
                since = self._clock.utc_now() - FRESH
                since_us = round(since.timestamp() * 1e6)
                for alarm in await self._db.run(partial(_begun, since_us=since_us)):
                    if alarm.event_id not in self._seen:
                        self._seen[alarm.event_id] = None
                        await self._policies.apply(
                            alarm.kind, alarm.event_id, (alarm.camera_id,), (alarm.zone,)
                        )
            while len(self._seen) > 1000:
                del self._seen[next(iter(self._seen))]
            self.progressed()
            if was_news:
                await self._clock.sleep_s(AT_MOST_EVERY_S)
            was_news = await self._has_news()

    async def _has_news(self) -> bool:
        """Wait until something was written; False when nothing was for a while."""
        try:
            async with asyncio.timeout(to_tick_s(self._clock, LOOK_EVERY_S)):
                return await self._news.wait()
        except TimeoutError:
            return False


def _begun(connection: sqlite3.Connection, since_us: int) -> list[_Alarm]:
    rows = connection.execute(
        "SELECT event_id, subject, kind, data FROM incidents"
        " WHERE started_utc_us > ? ORDER BY started_utc_us",
        (since_us,),
    ).fetchall()
    return [
        _Alarm(row["event_id"], row["subject"], row["kind"], _zone(row["data"])) for row in rows
    ]


def _zone(data: bytes) -> str:
    return msgspec.json.decode(data, type=EventData).rule_id or ""
