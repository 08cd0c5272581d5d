"""A box's events and outbox on a real database, and the hits and camera states a worker sends."""

from pathlib import Path

import msgspec

from agent.contract.events import CapStatus, Event, Region, StreamName
from agent.core.db import Database
from agent.core.ids import new_ulid
from agent.events import incidents
from agent.events.assembler import Assembler
from agent.events.incidents import Incidents
from agent.events.telling import Origin
from agent.messages.vision import HitState, RuleHit, TrackedObject
from agent.messages.worker import (
    CameraState,
    CameraStatus,
    DetectionStatus,
    RecordingStatus,
    StreamStatus,
)
from agent.outbox import store
from agent.outbox.store import Store
from agent.outbox.writer import Outbox
from agent.sightings import links
from tests.fake_clock import FakeClock


class IncidentBox:
    """Use as `async with`; it may be opened again on the same folder."""

    def __init__(
        self,
        folder: Path,
        clock=None,
        *,
        boot=1,
        thumbnails=True,
        max_bytes=50_000_000,
        settings=None,
        database=Database,
    ):
        self.clock = clock or FakeClock()
        self.db = database(folder / "box.db", [store.PART, incidents.PART, links.PART])
        self.outbox = Outbox(self.db, Store(self.clock, boot, max_bytes=max_bytes), self.clock)
        origin = Origin("site-1", "box-1", boot, lambda: self.outbox.epoch, CapStatus.TEST)
        self.assembler = Assembler(
            self.db,
            Incidents(self.outbox.append_in, origin, self.clock),
            self.clock,
            thumbnails=thumbnails,
        )
        if settings is not None:
            self.assembler.use(settings)

    async def __aenter__(self):
        await self.db.start()
        await self.outbox.start()
        return self

    async def __aexit__(self, *_):
        await self.db.stop()

    def hit(self, state=HitState.BEGAN, *, people=1, camera="gate", rule="yard", **changes):
        fields = {
            "hit_id": new_ulid(self.clock.utc_now()),
            "camera_id": camera,
            "rule_id": rule,
            "kind": "intrusion",
            "state": state,
            "at": self.clock.utc_now(),
            "mono_s": self.clock.monotonic_s(),
            "tq": self.clock.quality(),
            "objects": tuple(
                TrackedObject(number, "person", 0.9, Region(0.1, 0.1, 0.2, 0.2))
                for number in range(people)
            ),
        }
        return RuleHit(**fields | changes)

    async def took(self, *args, **changes):
        hit = self.hit(*args, **changes)
        await self.assembler.take(hit)
        return hit

    async def told(self, stream=StreamName.ALARM):
        """Every event in the outbox, oldest first."""
        records = await self.outbox.read(stream, 0, 10_000, 50_000_000)
        return [msgspec.json.decode(record.body, type=Event) for record in records]

    async def phases(self, stream=StreamName.ALARM):
        return [event.phase.value for event in await self.told(stream)]

    async def open_keys(self):
        query = "SELECT key FROM incidents WHERE ended_utc_us IS NULL"
        return await self.db.run(lambda c: [row["key"] for row in c.execute(query)])

    def camera_is(self, state, code=None, camera="gate"):
        now = self.clock.utc_now()
        self.assembler.saw(
            CameraStatus(
                camera_id=camera,
                main=StreamStatus(name="main", state=state, since=now, code=code, detail=code),
                sub=None,
                recording=RecordingStatus(recording=state is CameraState.ONLINE),
                detection=DetectionStatus(state="off", since=now),
            )
        )
