"""A box killed in the middle of a large file goes on after it: only what is missing is sent."""

import asyncio
import contextlib
import hashlib
import os
import sys

import msgspec
import pytest

from agent.contract.uploads import PART_BYTES
from agent.core.clock import SystemClock
from agent.core.db import Database
from agent.uploads import queue
from agent.uploads.queue import NewFile
from tests.s3_store import S3Store, StoreDesk, StoreProxy
from tests.uploading_box import ULID, decode_reply

PARTS = 4
FILE = os.urandom(PARTS * PART_BYTES - 1000)
SLOW_BPS = 80_000_000


@pytest.fixture
def store():
    store = S3Store()
    proxy = StoreProxy(store.port)
    yield StoreDesk(store, proxy.url), proxy
    proxy.close()
    store.close()


async def queue_file(folder):
    path = folder / "uploads" / f"{ULID}.mp4"
    path.parent.mkdir()
    await asyncio.to_thread(path.write_bytes, FILE)
    db, clock = Database(folder / "box.db", [queue.PART]), SystemClock()
    await db.start()
    digest = hashlib.sha256(FILE).hexdigest()
    file = NewFile(ULID, path, "video/mp4", len(FILE), digest, {})
    until = clock.utc_now().replace(year=2099)
    await db.run(lambda connection: queue.add(connection, file, clock.utc_now(), until, ""))
    await db.stop()


async def start_box(folder, max_bps):
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.uploading_box", str(folder), str(max_bps)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


async def answer(box, desk):
    """Answer what the box asks until it ends, or until it says that all is sent."""
    while line := await box.stdout.readline():
        if not line.startswith(b"{"):
            continue
        reply = decode_reply(line)
        if reply.need is None:
            return reply
        order = await desk.answer(ULID, reply.need)
        with contextlib.suppress(ConnectionError):
            box.stdin.write(msgspec.json.encode(order) + b"\n")
            await box.stdin.drain()
    return None


async def test_after_kill_9_only_the_missing_parts_are_sent(tmp_path, store):
    desk, proxy = store
    await queue_file(tmp_path)
    box = await start_box(tmp_path, SLOW_BPS)
    async with asyncio.TaskGroup() as tasks:
        answering = tasks.create_task(answer(box, desk))
        while proxy.received.get(2, 0) < PART_BYTES // 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        box.kill()
        await box.wait()
        assert await answering is None
    await asyncio.sleep(0.2)
    sent_before = dict(proxy.received)
    assert sent_before[1] == PART_BYTES
    assert sent_before[2] < PART_BYTES
    proxy.received.clear()

    box = await start_box(tmp_path, 0)
    final = await answer(box, desk)
    box.stdin.close()
    await box.wait()
    assert final.result["uploaded"] is True
    assert sum(proxy.received.values()) == len(FILE) - PART_BYTES
    assert sorted(proxy.received) == [2, 3, 4]
    assert desk.body(ULID) == FILE
