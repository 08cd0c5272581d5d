"""What an alarm shows reaches the center unasked, where the settings say so, bound to its event."""

import asyncio
import hashlib
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec
import pytest
from starlette.applications import Starlette

from agent.app import alarm_files
from agent.app.alarm_files import AlarmFiles
from agent.commands.upload_urls import UploadUrlsHandler
from agent.contract.events import CapStatus, Event
from agent.core.clock import SystemClock
from agent.core.errors import CameraError
from agent.events import incidents
from agent.events.assembler import Assembler
from agent.events.incidents import Incidents
from agent.events.telling import Origin
from agent.messages.vision import HitState
from agent.messages.worker import PictureReply
from agent.settings.model import UploadSettings
from agent.simulators.broker import CENTER, free_port
from agent.simulators.center import store
from agent.simulators.center.center import Center, CenterConfig
from agent.simulators.center.commander import public_keys_file
from agent.uplink.replies import Replies
from agent.uploads import queue
from agent.uploads.sender import Uploads
from tests.brokers import make_broker
from tests.fake_clock import FakeClock
from tests.footage_maker import make_clip
from tests.incident_box import IncidentBox
from tests.integration.test_center_uploads import serving
from tests.recording import Tape
from tests.spine import ADDRESS, QUICK, Box, eventually, running

JPEG = b"\xff\xd8" + bytes(1000) + b"\xff\xd9"


class Gate:
    """The camera's newest picture; none at first, as after a restart."""

    def __init__(self):
        self.asked = 0

    async def picture(self, camera_id, max_width_px, max_bytes):
        self.asked += 1
        if self.asked == 1:
            raise CameraError("camera.no_picture", "No picture yet.")
        return PictureReply(request_id=1, jpeg=JPEG)


class AlarmBox(Box):
    """A spine box with incidents, files and what joins them."""

    def __init__(self, folder, broker, *on_alarm):
        super().__init__(folder / "box", broker, keys_file=public_keys_file(folder))
        parts = [queue.PART, incidents.PART, alarm_files.PART]
        self.db._parts = [*self.db._parts, *parts]
        answer = Replies(self.clock, self.link, self.address).answer
        settings = UploadSettings(on_alarm=on_alarm, alarm_pre_s=3.0, alarm_post_s=1.0)
        self.uploads = Uploads(self.clock, self.db, folder / "box", answer, settings)
        self.commands.register("upload.urls", UploadUrlsHandler(self.uploads), idempotent=True)
        origin = Origin("site-1", "box-1", 1, lambda: self.outbox.epoch, CapStatus.TEST)
        made = Incidents(self.outbox.append_in, origin, self.clock)
        self.assembler = Assembler(self.db, made, self.clock, thumbnails=False)
        files = AlarmFiles(self.clock, self.db, folder / "box", Gate(), self.uploads, made)
        self.others = [self.uploads, files]

    async def took(self, **changes):
        await self.assembler.take(IncidentBox.hit(self, HitState.BEGAN, **changes))


@pytest.fixture
async def broker(tmp_path):
    broker = make_broker("mosquitto", tmp_path / "broker", [ADDRESS])
    await broker.start()
    yield broker
    await broker.stop()


@asynccontextmanager
async def city(tmp_path, broker):
    port = free_port()
    config = CenterConfig(
        tmp_path, broker.settings(CENTER), base_url=f"http://127.0.0.1:{port}", backoff=QUICK
    )
    center = Center(config, SystemClock())
    async with running(center), serving(Starlette(routes=center.routes()), port):
        yield center


async def told(center):
    """Return all that the center knows of events, oldest first."""
    rows = await center._db.run(lambda c: store.newest(c, "edge.event.", 100))
    return [msgspec.json.decode(row.body, type=Event) for row in reversed(rows)]


def record(folder):
    """Make a camera's recording that ends now."""
    now = SystemClock().utc_now()
    tape = Tape(folder / "box" / "cameras" / "gate", FakeClock(now - timedelta(seconds=6)))
    tape.record(make_clip(folder / "clip.mp4", fps=10, seconds=6, size_px=(160, 120)))
    tape.index.close()


async def test_an_alarms_files_are_sent_and_named_by_its_update(tmp_path, broker, monkeypatch):
    monkeypatch.setattr(alarm_files, "_SETTLE_S", 0.5)
    monkeypatch.setattr(alarm_files, "_AGAIN_S", 0.2)
    await asyncio.to_thread(record, tmp_path)
    async with city(tmp_path, broker) as center:
        box = AlarmBox(tmp_path, broker.settings("box-1"), "snapshot", "clip")
        async with running(box):
            await box.took(at=box.clock.utc_now() - timedelta(seconds=2))

            async def are_here():
                return len(await center.uploads()) == 2

            await eventually(are_here)
            await box.all_acknowledged()
        new, *_, last = await told(center)
        assert new.data.files == ()
        files = {file.content_type: file for file in last.data.files}
        for upload in await center.uploads():
            body = await asyncio.to_thread(upload.path.read_bytes)
            named = files.pop(upload.content_type)
            assert (last.id, named.upload) == (new.id, upload.command_id)
            assert (named.bytes, named.sha256) == (len(body), hashlib.sha256(body).hexdigest())
        assert not files


async def test_a_file_made_after_the_end_does_not_open_the_incident_again(tmp_path, broker):
    async with city(tmp_path, broker) as center:
        box = AlarmBox(tmp_path, broker.settings("box-1"), "snapshot")
        await box.open()
        await box.took()
        await box.assembler.take(IncidentBox.hit(box, HitState.ENDED))
        await box.db.stop()
        box = AlarmBox(tmp_path, broker.settings("box-1"), "snapshot")
        async with running(box):

            async def is_here():
                return len(await center.uploads()) == 1

            await eventually(is_here)
            await box.all_acknowledged()
        events = await told(center)
    assert [event.phase.value for event in events] == ["new", "end", "end"]
    assert [len(event.data.files) for event in events] == [0, 0, 1]
    assert events[1].data.ended_at == events[2].data.ended_at


async def test_nothing_is_sent_unasked_by_default(tmp_path, broker):
    async with city(tmp_path, broker) as center:
        box = AlarmBox(tmp_path, broker.settings("box-1"))
        async with running(box):
            await box.took()
            await box.all_acknowledged()
            assert not box.uploads.backlog.waiting
            assert not await box.db.run(queue.unfinished)
        assert [event.data.files for event in await told(center)] == [()]


async def test_a_kill_before_the_file_is_queued_forgets_nothing(tmp_path, broker):
    """The first life ends right after the alarm is committed; the second one owes the file."""
    first = AlarmBox(tmp_path, broker.settings("box-1"), "snapshot")
    await first.open()
    await first.took()
    await first.db.stop()
    async with city(tmp_path, broker) as center:
        second = AlarmBox(tmp_path, broker.settings("box-1"), "snapshot")
        async with running(second):

            async def is_here():
                return len(await center.uploads()) == 1

            await eventually(is_here)
