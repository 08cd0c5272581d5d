"""A file reaches the center through an address that is good once, and is bound to its order."""

import asyncio
import hashlib
import http.client
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import uvicorn
from starlette.applications import Starlette

from agent.core.clock import SystemClock
from agent.core.db import Database
from agent.simulators.broker import free_port
from agent.simulators.center import store, uploads
from agent.simulators.center.uploads import Uploads


class Clock(SystemClock):
    ahead_s = 0.0

    def monotonic_s(self):
        return super().monotonic_s() + self.ahead_s


def put(url, body, content_type="video/mp4"):
    """PUT as a box does; return status and text."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    connection.request("PUT", parts.path, body, {"Content-Type": content_type})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


@asynccontextmanager
async def serving(app, port):
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off"))
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        yield
        server.should_exit = True
        await task


@pytest.fixture
async def center(tmp_path):
    db = Database(tmp_path / "center.db", [store.PART])
    await db.start()
    port, clock = free_port(), Clock()
    files = Uploads(clock, db, tmp_path / "uploads", f"http://127.0.0.1:{port}", lambda: None)
    async with serving(Starlette(routes=files.routes()), port):
        yield files, db, clock
    await db.stop()


async def test_a_file_is_taken_once_and_found_by_its_order(center):
    files, db, _ = center
    url, body = files.address_for("order-1", 30.0), b"video" * 100_000
    assert await asyncio.to_thread(put, url, body) == (201, hashlib.sha256(body).hexdigest())
    upload = await db.run(lambda connection: store.upload_of(connection, "order-1"))
    assert (upload.name, upload.size_bytes) == ("order-1.mp4", len(body))
    assert await asyncio.to_thread(upload.path.read_bytes) == body
    assert (await asyncio.to_thread(put, url, b"again"))[0] == 403


async def test_an_unknown_or_old_address_is_refused(center, tmp_path):
    files, _, clock = center
    url = files.address_for("order-1", 30.0)
    assert (await asyncio.to_thread(put, url + "x", b"x"))[0] == 403
    clock.ahead_s = 31.0
    assert (await asyncio.to_thread(put, url, b"x"))[0] == 403
    assert not (tmp_path / "uploads").exists()


async def test_a_file_too_large_leaves_nothing(center, tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_UPLOAD_BYTES", 10)
    files, _, _ = center
    assert (await asyncio.to_thread(put, files.address_for("order-1", 30.0), b"x" * 11))[0] == 400
    assert list((tmp_path / "uploads").iterdir()) == []
