"""Files reach an S3-type store: in one PUT or in parts, past expired addresses and broken lines."""

import asyncio
import json
import os
import sqlite3
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import av
import numpy as np
import pytest
from click.testing import CliRunner

from agent.buffer import reading
from agent.clips.export import ClipSource, export_clip
from agent.contract.commands import ReplyState, UploadAddress, UploadUrls
from agent.contract.uploads import SINGLE_BYTES
from agent.core.errors import CommandError
from agent.local.cli.uploads import uploads
from agent.uploads import sender as sending
from agent.uploads.queue import State
from tests.camera_certificates import Authority
from tests.fake_clock import FakeClock
from tests.recording import Tape
from tests.s3_store import SECRET, S3Store, StoreDesk, StoreProxy
from tests.uploading_box import ULID, Box

SMALL, LARGE = os.urandom(300_000), os.urandom(11 * 1024 * 1024)
OTHER = ULID[:-1] + "D"


@pytest.fixture(scope="module")
def store():
    store = S3Store()
    yield store
    store.close()


@pytest.fixture
def proxy(store):
    proxy = StoreProxy(store.port)
    yield proxy
    proxy.close()


@pytest.fixture
def desk(store, proxy):
    return StoreDesk(store, proxy.url)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(sending, "_RETRY_FIRST_S", 0.02)


async def ignore(text):
    del text


async def test_a_small_file_goes_in_one_put_to_the_address_of_the_order(tmp_path, proxy, desk):
    async with Box(tmp_path, desk).running() as box:
        file = await box.queue_file(SMALL, url=desk.presigned(ULID))
        job = await box.uploads.follow(ULID, ignore, 20.0)
    assert box.uploads.result_of(job) == {"sha256": file.sha256, "uploaded": True}
    assert desk.body(ULID) == SMALL
    assert (proxy.puts, box.replies) == ([0], [])
    assert not file.path.exists()


async def test_a_large_file_goes_in_parts_and_is_completed_by_the_center(tmp_path, proxy, desk):
    said = []

    async def progress(text):
        said.append(text)

    async with Box(tmp_path, desk).running() as box:
        await box.queue_file(LARGE)
        await box.uploads.follow(ULID, progress, 30.0)
    assert desk.body(ULID) == LARGE
    assert proxy.puts == [1, 2, 3]
    assert any(text.startswith("sent ") for text in said)


async def test_broken_lines_cost_one_part_each_and_a_lost_answer_none(tmp_path, proxy, desk):
    proxy.faults = ["drop", "503", "ok", "slow", "unheard"]
    async with Box(tmp_path, desk).running() as box:
        await box.queue_file(LARGE)
        await box.ended()
    assert desk.body(ULID) == LARGE
    assert proxy.puts[:5] == [1, 1, 1, 2, 3]


async def test_an_expired_or_tampered_address_is_asked_for_anew(tmp_path, proxy, desk):
    async with Box(tmp_path, desk).running() as box:
        desk.valid_s = -10
        await box.queue_file(SMALL, url=desk.presigned(ULID))
        desk.valid_s = 600
        assert (await box.ended()).state is State.DONE
        await box.queue_file(
            SMALL, OTHER, url=desk.presigned(OTHER).replace("Expires=600", "Expires=999")
        )
        assert (await box.ended(OTHER)).state is State.DONE
    assert proxy.statuses == [403, 200, 403, 200]
    assert desk.body(ULID) == desk.body(OTHER) == SMALL


async def test_a_hostile_redirect_is_refused_and_given_up(tmp_path, proxy, desk):
    proxy.faults = ["redirect"] * 50
    async with Box(tmp_path, desk).running() as box:
        await box.queue_file(SMALL, url=desk.presigned(ULID))
        with pytest.raises(CommandError) as failed:
            await box.uploads.follow(ULID, ignore, 30.0)
    assert failed.value.code == "upload.redirected"
    assert proxy.received == {}


async def test_addresses_are_never_logged_and_forgotten_when_used(tmp_path, proxy, desk, capfd):
    proxy.faults = ["503", "drop", "redirect"]
    async with Box(tmp_path, desk).running() as box:
        await box.queue_file(SMALL, url=desk.presigned(ULID))
        await box.ended()
    shown = "".join(capfd.readouterr())
    assert "X-Amz" not in shown
    assert SECRET not in shown
    assert b"X-Amz" not in b"".join(repr(reply).encode() for reply in box.replies)
    rows = await asyncio.to_thread(_urls, tmp_path)
    assert rows == []


def _urls(folder):
    with sqlite3.connect(folder / "box.db") as connection:
        rows = connection.execute("SELECT url FROM upload_parts WHERE url != ''").fetchall()
    connection.close()
    return rows


async def test_the_store_proves_itself_to_the_private_authority(tmp_path, store):
    proxy = StoreProxy(store.port, Authority(tmp_path / "ca").server("127.0.0.1"))
    desk = StoreDesk(store, proxy.url)
    try:
        ca_file = str(tmp_path / "ca" / "ca.pem")
        async with Box(tmp_path, desk, ca_file=ca_file).running() as box:
            await box.queue_file(SMALL, url=desk.presigned(ULID))
            assert (await box.ended()).state is State.DONE
        stranger = Authority(tmp_path / "other", "Other CA").ca_file
        async with Box(tmp_path, desk, ca_file=str(stranger)).running() as box:
            await box.queue_file(SMALL, OTHER, url=desk.presigned(OTHER))
            while not (job := await box.uploads.find(OTHER)).code:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert (job.state, job.code) == (State.WAITING, "upload.tls")
        assert proxy.puts == [0]
    finally:
        await asyncio.to_thread(proxy.close)


async def test_plain_http_beyond_the_box_is_refused_unless_allowed(tmp_path):
    refused = []

    class Desk:
        async def answer(self, upload, need):
            refused.append(need)
            address = UploadAddress(number=1, url="http://files.example/secret")
            return UploadUrls(upload=upload, parts=(address,))

    async with Box(tmp_path, Desk()).running() as box:
        await box.queue_file(SMALL)
        assert (await box.ended()).code == "upload.address"
    assert len(refused) > 1


async def test_files_wait_for_the_window_but_an_alarms_does_not(tmp_path, proxy, desk):
    clock = FakeClock(datetime(2026, 11, 22, 12, tzinfo=UTC))
    async with Box(tmp_path, desk, clock, window="17:00-21:00").running() as box:
        await box.queue_file(SMALL, url=desk.presigned(ULID))
        await box.queue_file(SMALL, OTHER, url=desk.presigned(OTHER), priority=8)
        await box.ended(OTHER)
        job = await box.uploads.follow(ULID, ignore, 20.0)
        assert box.uploads.result_of(job)["waits_for"] == "window"
        assert (proxy.puts, box.uploads.backlog.held) == ([0], "window")
        while (await box.uploads.find(ULID)).state is not State.DONE:
            await clock.advance(600)
        assert clock.utc_now().hour >= 17
        while ReplyState.DONE not in [r.state for r in box.replies if r.id == ULID]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    late = [reply for reply in box.replies if reply.id == ULID][-1]
    assert late.result["uploaded"] is True


async def test_a_spent_budget_leaves_the_file_waiting_until_the_next_day(tmp_path, proxy, desk):
    clock = FakeClock(datetime(2026, 11, 22, 12, tzinfo=UTC))
    settings = {"daily_bytes": SINGLE_BYTES}
    async with Box(tmp_path, desk, clock, **settings).running() as box:
        await box.queue_file(LARGE[:SINGLE_BYTES], url=desk.presigned(ULID))
        await box.ended()
        await box.queue_file(SMALL, OTHER, url=desk.presigned(OTHER), priority=9)
        job = await box.uploads.follow(OTHER, ignore, 20.0)
        assert box.uploads.result_of(job)["waits_for"] == "budget"
        assert box.uploads.backlog.held == "budget"
        assert len(proxy.puts) == 1
    async with Box(tmp_path, desk, clock, **settings).running() as box:  # a restart spends nothing
        while box.uploads.backlog.held != "budget":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        clock.pass_s(12 * 3600)
        while (await box.uploads.find(OTHER)).state is not State.DONE:
            await clock.advance(60)
    assert clock.utc_now().day == 23
    assert desk.body(OTHER) == SMALL


async def test_what_waits_is_listed_beside_the_agent(tmp_path):
    box = Box(tmp_path)
    async with box.running():
        file = await box.queue_file(bytes(9 * 1024 * 1024))
        said = await asyncio.to_thread(
            CliRunner().invoke, uploads, ["status", "--data-dir", str(tmp_path), "--json"]
        )
    (listed,) = json.loads(said.output)["files"]
    assert (listed["id"], listed["sha256"], listed["state"]) == (file.id, file.sha256, "waiting")
    assert (listed["parts_total"], listed["parts_sent"]) == (2, 0)


async def test_what_cannot_be_queued_or_sent_in_time_says_so(tmp_path, desk):
    clock = FakeClock()
    async with Box(tmp_path, None, clock, max_bytes=400_000, keep_days=1.0).running() as box:
        await box.queue_file(SMALL)
        with pytest.raises(CommandError) as full:
            await box.queue_file(SMALL, OTHER)
        assert full.value.code == "upload.queue_full"
        while (await box.uploads.find(ULID)).state is not State.FAILED:
            await clock.advance(3600)
        assert (await box.uploads.find(ULID)).code == "upload.too_late"


@pytest.fixture(scope="module")
def detailed(tmp_path_factory):
    """A recording that needs several parts: four seconds of noise, a key frame each."""
    path = tmp_path_factory.mktemp("detailed") / "noise.mp4"
    dice = np.random.default_rng(1)
    options = {"preset": "ultrafast", "qp": "10", "x264-params": "keyint=10:scenecut=0"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options=options)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for number in range(40):
            noise = dice.integers(0, 255, (540, 640), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(noise, format="yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


async def test_half_an_upload_is_watchable(tmp_path, proxy, desk, detailed):
    tape = Tape(tmp_path / "cameras" / "gate")
    begin = tape.clock.utc_now()
    frames = tape.record(detailed)
    tape.index.close()
    found = reading.segments(tape.folder, begin - timedelta(seconds=30), tape.clock.utc_now())
    whole = await asyncio.to_thread(
        export_clip,
        [ClipSource(one.path, one.start_at) for one in found],
        begin,
        tape.clock.utc_now(),
        tmp_path / "clip.mp4",
    )
    body = await asyncio.to_thread(whole.path.read_bytes)
    proxy.faults = ["ok", "ok", *["503"] * 99]
    async with Box(tmp_path, desk).running() as box:
        await box.queue_file(body)
        while len((await box.uploads.find(ULID)).sent) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    half = await asyncio.to_thread(desk.half, ULID)
    assert len(half) < 0.7 * len(body)
    assert half == body[: len(half)]
    (tmp_path / "half.mp4").write_bytes(half)
    shown = await asyncio.to_thread(_shown, tmp_path / "half.mp4")
    assert shown == list(range(len(shown)))  # from the first one on, none left out
    assert len(shown) >= frames * len(half) / len(body) - 10  # but for a GOP, all that came


def _shown(path):
    """Return the numbers of the pictures that a player can show of a torn file."""
    shown = []
    with av.open(str(path)) as container, suppress(av.error.FFmpegError):
        for frame in container.decode(video=0):
            shown.append(round(frame.time * 10))  # noqa: PERF401 - it ends with an error
    return shown
