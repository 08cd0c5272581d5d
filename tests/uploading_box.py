"""A box's upload part alone: its database, its queue and its sender, with a desk that answers.

As a program (`python -m tests.uploading_box FOLDER MAX_BPS`) it asks on stdout and is answered on
stdin, so that a test can kill it.
"""

import asyncio
import hashlib
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from agent.contract.commands import Args, Reply
from agent.core import log
from agent.core.clock import SystemClock
from agent.core.db import Database
from agent.settings.model import UploadSettings
from agent.uploads import queue
from agent.uploads.queue import NewFile
from agent.uploads.sender import Uploads

ULID = "01JD8Z3V7K5M2Q9W4R6T8Y0B1C"


class Box:
    def __init__(self, folder: Path, desk=None, clock=None, **settings):
        self.folder, self.desk, self.replies = folder, desk, []
        self.clock = clock or SystemClock()
        self.db = Database(folder / "box.db", [queue.PART])
        self.uploads = Uploads(self.clock, self.db, folder, self.answer, UploadSettings(**settings))
        self._tasks = None

    async def answer(self, reply):
        self.replies.append(reply)
        if reply.need is not None and self.desk is not None:
            self._tasks.create_task(self._ask(reply))

    async def _ask(self, reply):
        order = await self.desk.answer(reply.id, reply.need)
        if order is not None:
            await self.uploads.take(order)

    @asynccontextmanager
    async def running(self):
        await self.db.start()
        await self.uploads.start()
        async with asyncio.TaskGroup() as self._tasks:
            task = self._tasks.create_task(self.uploads.run())
            try:
                yield self
            finally:
                task.cancel()
        await self.db.stop()

    async def queue_file(self, body: bytes, job_id=ULID, url="", priority=5):
        return await queue_file(self.uploads, body, job_id, url, priority)

    async def ended(self, job_id=ULID):
        """Wait for the end without being its follower; return the job."""
        while not (job := await self.uploads.find(job_id)).state.is_final:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return job


async def queue_file(uploads, body, job_id, url="", priority=5, rests_on=""):
    path = uploads.folder / f"{job_id}.mp4"
    await asyncio.to_thread(path.write_bytes, body)
    digest = hashlib.sha256(body).hexdigest()
    told = {"sha256": digest}
    file = NewFile(job_id, path, "video/mp4", len(body), digest, told, priority, rests_on)
    await uploads.add(file, url)
    return file


async def main(folder: Path, max_bps: int | None):
    log.configure("test", "error")
    box = Box(folder, max_bps=max_bps)

    async def answer(reply):
        sys.stdout.write(msgspec.json.encode(reply).decode() + "\n")
        sys.stdout.flush()

    box.uploads._answer = answer
    loop = asyncio.get_running_loop()
    async with box.running():
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            await box.uploads.take(msgspec.json.decode(line, type=Args))


def decode_reply(line: bytes) -> Reply:
    return msgspec.json.decode(line, type=Reply)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]) or None))
