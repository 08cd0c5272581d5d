"""A box's file reaches the stand-in center over MQTT and HTTP, whole and bound to its order."""

import asyncio
import hashlib
import os

import pytest
from starlette.applications import Starlette

from agent.commands.upload_urls import UploadUrlsHandler
from agent.contract.commands import Actor, Clip, Ping, ReplyState
from agent.core.clock import SystemClock
from agent.core.ids import new_ulid
from agent.settings.model import UploadSettings
from agent.simulators.broker import CENTER, free_port
from agent.simulators.center.center import Center, CenterConfig
from agent.simulators.center.commander import public_keys_file
from agent.uplink.replies import Replies
from agent.uploads import queue, sender
from agent.uploads.queue import NewFile
from agent.uploads.sender import Uploads
from tests.brokers import make_broker
from tests.integration.test_center_uploads import serving
from tests.spine import ADDRESS, QUICK, Box, running

KIM = Actor(user="kim")
LARGE = os.urandom(12 * 1024 * 1024)


@pytest.fixture
async def broker(tmp_path):
    broker = make_broker("mosquitto", tmp_path / "broker", [ADDRESS])
    await broker.start()
    yield broker
    await broker.stop()


class FileBox(Box):
    """A spine box whose `clip` is a file of given bytes."""

    def __init__(self, folder, broker, body):
        super().__init__(folder, broker, keys_file=public_keys_file(folder))
        self.db._parts = [*self.db._parts, queue.PART]
        answer = Replies(self.clock, self.link, self.address).answer
        self.uploads = Uploads(self.clock, self.db, folder / "box", answer, UploadSettings())
        self.commands.register("upload.urls", UploadUrlsHandler(self.uploads), idempotent=True)
        self.commands.register("clip", self._clip, idempotent=True, deadline_s=60.0)
        self._body = body

    async def _clip(self, command, progress):
        path = self.uploads.folder / "clip.mp4"
        await asyncio.to_thread(path.write_bytes, self._body)
        digest = hashlib.sha256(self._body).hexdigest()
        await self.uploads.add(
            NewFile(command.id, path, "video/mp4", len(self._body), digest, {"sha256": digest}),
            command.args.upload_url,
        )
        return self.uploads.result_of(await self.uploads.follow(command.id, progress, 50.0))

    async def run(self):
        async with asyncio.TaskGroup() as tasks:
            await self.uploads.start()
            sending = tasks.create_task(self.uploads.run())
            try:
                await super().run()
            finally:
                sending.cancel()


async def order_clip(tmp_path, broker, body):
    port = free_port()
    config = CenterConfig(
        tmp_path, broker.settings(CENTER), base_url=f"http://127.0.0.1:{port}", backoff=QUICK
    )
    center = Center(config, SystemClock())
    box = FileBox(tmp_path, broker.settings("box-1"), body)
    args = Clip(camera_id="gate", start_at=_at(0), end_at=_at(10))
    async with (
        running(center),
        running(box),
        serving(Starlette(routes=center.routes()), port),
    ):
        replies = [reply async for reply in center.command(ADDRESS, args, KIM)]
        upload = await center.upload_of(replies[-1].id)
    return replies, upload


def _at(second):
    return SystemClock().utc_now().replace(second=second)


@pytest.mark.parametrize("body", [LARGE[:100_000], LARGE], ids=["one put", "parts"])
async def test_a_clip_is_sent_and_done_and_is_at_the_center(tmp_path, broker, body):
    replies, upload = await order_clip(tmp_path, broker, body)
    states = [reply.state for reply in replies]
    assert (states[-1], replies[-1].result["uploaded"]) == (ReplyState.DONE, True)
    assert await asyncio.to_thread(upload.path.read_bytes) == body
    assert upload.sha256 == replies[-1].result["sha256"]
    assert not list((tmp_path / "uploads").glob(".parts/*"))
    needs = [reply.need for reply in replies if reply.need is not None]
    assert bool(needs) is (body is LARGE)
    assert "uploads/" not in "".join(map(repr, replies))


async def test_a_file_that_nobody_ordered_is_not_taken(tmp_path, broker, monkeypatch):
    monkeypatch.setattr(sender, "_ASK_FIRST_S", 0.5)
    center = Center(CenterConfig(tmp_path, broker.settings(CENTER), backoff=QUICK), SystemClock())
    box = FileBox(tmp_path, broker.settings("box-1"), b"x")
    async with running(center), running(box):
        async for _ in center.command(ADDRESS, Ping(), KIM):
            pass
        path = box.uploads.folder / "x.jpg"
        await asyncio.to_thread(path.write_bytes, b"x")
        job_id, digest = new_ulid(SystemClock().utc_now()), hashlib.sha256(b"x").hexdigest()
        await box.uploads.add(NewFile(job_id, path, "image/jpeg", 1, digest, {}))
        while not (job := await box.uploads.find(job_id)).state.is_final:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert job.code == "upload.not_wanted"
