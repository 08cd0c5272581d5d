"""The box's hour in one small record: what the telemetry of a lost hour would have told."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from agent.app.health_hour import HealthReporter, Look
from agent.contract.events import StreamName, TimeQuality
from agent.contract.rollup import HealthRecord
from agent.contract.telemetry import BoardSample
from agent.core.db import Database
from agent.core.errors import StorageError
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
from tests.fake_clock import FakeClock


class Box:
    """What a reporter looks at; the frames count themselves."""

    def __init__(self, clock):
        self.clock, self.frames, self.connects = clock, 0, 1
        self.is_connected, self.temperature_c = True, 50.0
        self.cameras, self.is_silent = ["gate"], False

    def look(self):
        self.frames += 900
        return Look(
            board=BoardSample(temperature_c=self.temperature_c, cpu_pct=20.0),
            cameras=self.cameras,
            statuses=() if self.is_silent else [self._status(camera) for camera in self.cameras],
            is_connected=self.is_connected,
            connects_total=self.connects,
            puback_ms=30.0,
            ack_ms=None,
        )

    def _status(self, camera_id):
        since = datetime(2026, 11, 22, tzinfo=UTC)
        main = StreamStatus(
            name="main", state=CameraState.ONLINE, since=since, fps=15.0, frames_total=self.frames
        )
        return CameraStatus(
            camera_id=camera_id,
            main=main,
            sub=None,
            recording=RecordingStatus(recording=True),
            detection=DetectionStatus(state="ready", since=since),
        )


class Filling(Outbox):
    """An outbox on a disk that is full now and then."""

    is_full = False

    async def append(self, *args, **more):
        if self.is_full:
            raise StorageError("storage.full", "No room.")
        return await super().append(*args, **more)


@pytest.fixture
async def hour(tmp_path):
    clock = FakeClock()
    db = Database(tmp_path / "box.db", [store.PART])
    await db.start()
    outbox = Filling(db, Store(clock, 1, max_bytes=1_000_000), clock)
    await outbox.start()
    box = Box(clock)
    reporter = HealthReporter(clock, outbox, "edge/site/box", box.look)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(reporter.run())
        await clock.rests()
        yield clock, box, reporter, outbox
        running.cancel()
    await db.stop()


async def told(outbox, count):
    return [record.data for record in await records(outbox, count)]


async def records(outbox, count):
    for _ in range(1000):
        found = await outbox.read(StreamName.TELEMETRY, 0, 50, 100_000)
        if len(found) >= count:
            break
        await asyncio.sleep(0.01)
    return [msgspec.json.decode(record.body, type=HealthRecord) for record in found]


async def minutes(clock, count):
    for _ in range(count):
        await clock.advance(60)


async def test_an_hour_is_told_with_least_mean_and_most(hour):
    clock, box, _, outbox = hour
    await minutes(clock, 30)
    box.temperature_c, box.is_connected = 70.0, False
    await minutes(clock, 30)
    (data,) = await told(outbox, 1)
    assert (data.looks, data.lasted_s, data.connected_share) == (60, 3600, 0.5)
    assert tuple(getattr(data.temperature_c, one) for one in ("least", "mean", "most")) == (
        50.0,
        60.0,
        70.0,
    )
    assert data.ack_ms is None
    (camera,) = data.cameras
    assert (camera.online_share, camera.recording_share) == (1.0, 1.0)
    assert camera.frames == 59 * 900  # since the first look


async def test_the_next_hour_counts_on_and_a_new_worker_begins_at_nought(hour):
    clock, box, _, outbox = hour
    await minutes(clock, 90)
    box.frames, box.connects = 0, 3
    await minutes(clock, 15)
    box.is_silent = True
    await minutes(clock, 15)
    await told(outbox, 2)
    _, second = await told(outbox, 2)
    assert second.connects == 2
    assert second.cameras[0].frames == 45 * 900
    assert second.cameras[0].online_share == 0.75


async def test_an_hour_is_small(hour):
    clock, box, _, outbox = hour
    box.cameras = [f"cam-{number}" for number in range(4)]
    await minutes(clock, 60)
    (data,) = await told(outbox, 1)
    assert len(msgspec.json.encode(data)) < 1_000


async def test_what_there_is_is_told_at_a_planned_stop(hour):
    clock, _, reporter, outbox = hour
    await minutes(clock, 5)
    await reporter.stop()
    assert await outbox.read(StreamName.TELEMETRY, 0, 50, 100_000) == []
    await minutes(clock, 15)
    await reporter.stop()
    (data,) = await told(outbox, 1)
    assert data.looks == 20


async def test_a_camera_that_came_in_the_middle_was_there_all_its_time(hour):
    clock, box, _, outbox = hour
    await minutes(clock, 30)
    box.cameras = ["gate", "late"]
    await minutes(clock, 30)
    (data,) = await told(outbox, 1)
    assert [camera.camera_id for camera in data.cameras] == ["gate", "late"]
    assert [camera.online_share for camera in data.cameras] == [1.0, 1.0]


async def test_the_hour_began_where_the_clock_of_its_end_says(hour):
    clock, _, _, outbox = hour
    clock._at -= timedelta(days=400)  # not set yet
    await minutes(clock, 30)
    clock._at += timedelta(days=400)
    await minutes(clock, 30)
    (record,) = await records(outbox, 1)
    assert (record.boot, record.tq) == (1, TimeQuality.NTP)
    assert record.data.since == record.time - timedelta(hours=1)


async def test_an_hour_that_found_no_room_is_told_when_there_is_some(hour):
    clock, _, _, outbox = hour
    outbox.is_full = True
    await minutes(clock, 65)
    assert await outbox.read(StreamName.TELEMETRY, 0, 50, 100_000) == []
    outbox.is_full = False
    await minutes(clock, 1)
    (data,) = await told(outbox, 1)
    assert (data.looks, data.lasted_s) == (66, 66 * 60)
