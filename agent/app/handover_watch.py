"""Who left one camera and came to another: heard from the workers, linked, told. Core process.

A link goes into the index for search and into the incidents both ends took part in, in one
transaction; what turns out to be ambiguous is taken back the same way.
"""

import sqlite3
from contextlib import suppress
from datetime import timedelta

from agent.app.worker_hub import WorkerHub
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.core.db import Database
from agent.core.errors import StorageError
from agent.events import subjects
from agent.events.assembler import Assembler
from agent.messages.passing import Passing
from agent.settings.model import Settings
from agent.sightings import links
from agent.sightings.handover import Handover, Matcher
from agent.sightings.travel import window_s

LOOK_EVERY_S = 1.0
_PRUNE_EVERY_S = 3600.0
_REMEMBERED = 500


class HandoverWatch(Service):
    """Joins the matcher to the hub, the index and the incidents. `use` takes new settings over."""

    name = "handover"

    def __init__(
        self, db: Database, hub: WorkerHub, assembler: Assembler, settings: Settings, clock: Clock
    ) -> None:
        super().__init__(clock)
        self._db, self._incidents = db, assembler.incidents
        self._settings = settings.sightings
        self._learned: dict[tuple[str, str], list[float]] = {}
        self._matcher = Matcher(
            lambda start, to: window_s(self._settings, self._learned, start, to)
        )
        self._subjects: dict[tuple[str, int], tuple[str, float]] = {}
        hub.on_passing, assembler.subject_of = self.take, self.subject_of

    def use(self, settings: Settings) -> None:
        """Take over who is a neighbour."""
        self._settings = settings.sightings

    def subject_of(self, camera_id: str, track_id: int) -> tuple[str, float] | None:
        """Return the subject a camera's newest track of that number is linked to."""
        return self._subjects.get((camera_id, track_id))

    async def take(self, passing: Passing) -> None:
        """A worker tells of somebody."""
        if not self._settings.link:
            return
        self._matcher.take(passing)
        track = (passing.camera_id, passing.track_id)
        if not passing.is_over:
            self._subjects.pop(track, None)  # numbers begin anew with each worker
        elif track in self._subjects:
            with suppress(StorageError):  # a full disk costs a link, not the worker's line
                await self._db.run(lambda c: links.stretch(c, passing))

    async def run(self) -> None:
        self._learned = await self._db.run(links.travel_times)
        prune_s = self._clock.monotonic_s()
        while True:
            self.progressed()
            now_s = self._clock.monotonic_s()
            for found in self._matcher.settle(now_s):
                with suppress(StorageError):
                    await self._say(found)
            if now_s >= prune_s:
                prune_s = now_s + _PRUNE_EVERY_S
                oldest = self._clock.utc_now() - timedelta(days=self._settings.keep_days)
                await self._db.run(lambda c, oldest=oldest: links.prune(c, oldest))  # type: ignore[misc]
            await self._clock.sleep_s(to_tick_s(self._clock, LOOK_EVERY_S))

    async def _say(self, found: Handover) -> None:
        if found.is_off:
            for link in await self._db.run(lambda c: self._withdraw(c, found)):
                self._subjects.pop((link.camera_id, link.track_id), None)
            return
        way = (found.before.camera_id, found.after.camera_id)
        self._learned.setdefault(way, []).append(found.travel_s)
        for link in await self._db.run(lambda c: self._keep(c, found)):
            self._subjects[link.camera_id, link.track_id] = (link.subject, link.certainty)
        while len(self._subjects) > _REMEMBERED:
            del self._subjects[next(iter(self._subjects))]

    def _keep(
        self, connection: sqlite3.Connection, found: Handover
    ) -> tuple[links.Link, links.Link]:
        made = links.keep(connection, found)
        for link in made:
            self._name(connection, link, (link.subject, link.certainty))
        return made

    def _withdraw(self, connection: sqlite3.Connection, found: Handover) -> list[links.Link]:
        gone = links.withdraw(connection, found)
        for link in gone:
            self._name(connection, link, None)
        return gone

    def _name(
        self,
        connection: sqlite3.Connection,
        link: links.Link,
        subject: tuple[str, float] | None,
    ) -> None:
        subjects.name(
            connection, self._incidents, link.camera_id, link.track_id, link.begin, subject
        )
