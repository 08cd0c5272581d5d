"""Between a camera's worker and the core: hits come again until the core has them for good."""

import asyncio
import socket
import threading
from contextlib import asynccontextmanager, contextmanager

import msgspec
import pytest

from agent.app.core_line import OUT_LIMIT, CoreLine
from agent.app.worker_hub import STALE_STATUS_S, WorkerHub
from agent.buffer.index import Index
from agent.core import framing
from agent.core.clock import SystemClock
from agent.core.errors import CameraError, StorageError
from agent.messages import worker
from agent.messages.vision import HitState, RuleHit
from agent.messages.worker import (
    CameraState,
    CameraStatus,
    DetectionStatus,
    Hello,
    HitAck,
    HitReport,
    PictureReply,
    RecordingStatus,
    Retune,
    StreamStatus,
    TakePicture,
)
from agent.settings.model import CameraSettings
from tests.fake_clock import FakeClock

CLOCK = SystemClock()


def hit(name, state=HitState.BEGAN):
    return RuleHit(
        hit_id=name,
        camera_id="gate",
        rule_id="yard",
        kind="intrusion",
        state=state,
        at=CLOCK.utc_now(),
        mono_s=CLOCK.monotonic_s(),
        tq=CLOCK.quality(),
    )


def status(frames=0, camera="gate"):
    now = CLOCK.utc_now()
    return CameraStatus(
        camera_id=camera,
        main=StreamStatus(name="main", state=CameraState.ONLINE, since=now, frames_total=frames),
        sub=None,
        recording=RecordingStatus(recording=True),
        detection=DetectionStatus(state="off", since=now),
    )


class Worker:
    """A camera worker's end: the line and the index that keeps its hits."""

    def __init__(self, folder, path):
        self.index = Index(folder)
        self.messages = []
        self.line = CoreLine(
            path,
            Hello(camera_id="gate", pid=1),
            self.index.waiting_hits,
            self._on_message,
            CLOCK,
        )
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self.line.run, args=(self.stop,), name="line")

    def start(self):
        self._thread.start()

    def end(self):
        self.stop.set()
        self.line.wake()
        self._thread.join(30)
        assert not self._thread.is_alive()
        self.index.close()

    def tell(self, told):
        """As a worker does: what began is kept before it is told."""
        body = worker.encode(HitReport(hit=told))
        if told.state is HitState.BEGAN:
            self.index.keep_hit(told.hit_id, told.at, told.mono_s, told.state, body)
        self.line.put_encoded(body)

    def _on_message(self, message):
        self.messages.append(message)
        if isinstance(message, HitAck):
            self.index.ack_hit(message.hit_id)
        elif isinstance(message, TakePicture):
            self.line.put(PictureReply(request_id=message.request_id, jpeg=b"\xff\xd8picture"))


@contextmanager
def working(folder, path):
    folder.mkdir(exist_ok=True)
    one = Worker(folder, path)
    one.start()
    try:
        yield one
    finally:
        one.end()


class Core:
    """The core's end: a hub, and the hits it has committed."""

    def __init__(self, path, clock=CLOCK):
        self.taken, self.statuses, self.refuse = [], [], 0
        self.hub = WorkerHub(path, clock, self._take, self.statuses.append)

    async def _take(self, told):
        if self.refuse:
            self.refuse -= 1
            raise StorageError("storage.full", "The disk can't take more.")
        self.taken.append((told.hit_id, told.state.value))

    @property
    def began(self):
        return {name for name, state in self.taken if state == "began"}


@asynccontextmanager
async def core_at(path, clock=CLOCK):
    core = Core(path, clock)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(core.hub.run())
        await eventually(path.exists)
        try:
            yield core
        finally:
            running.cancel()


async def eventually(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what changes is in other threads
            await asyncio.sleep(0.01)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "core.sock"


async def test_a_hit_told_is_committed_acknowledged_and_forgotten(path, tmp_path):
    with working(tmp_path / "gate", path) as camera:
        async with core_at(path) as core:
            camera.tell(hit("a"))
            await eventually(lambda: not camera.index.waiting_hits())
            assert core.taken == [("a", "began")]
            assert core.hub.hits_total == 1


async def test_hits_survive_a_core_that_is_away_and_come_in_their_order(path, tmp_path):
    with working(tmp_path / "gate", path) as camera:
        for name in ("a", "b"):
            camera.tell(hit(name))
            camera.tell(hit(f"{name}-end", HitState.ENDED))
        async with core_at(path) as core:
            await eventually(lambda: not camera.index.waiting_hits())
            await eventually(lambda: len(core.taken) >= 4)
    assert core.taken == [("a", "began"), ("a-end", "ended"), ("b", "began"), ("b-end", "ended")]


async def test_hits_survive_their_own_worker(path, tmp_path):
    with working(tmp_path / "gate", path) as camera:
        camera.tell(hit("a"))
    async with core_at(path) as core:
        with working(tmp_path / "gate", path):
            await eventually(lambda: core.taken == [("a", "began")])


async def test_a_damaged_hit_does_not_block_those_behind_it(path, tmp_path):
    with working(tmp_path / "gate", path) as camera:
        now = CLOCK.utc_now()
        camera.index.keep_hit("torn", now, CLOCK.monotonic_s(), HitState.BEGAN, b"\xc1 torn")
        camera.tell(hit("a"))
        async with core_at(path) as core:
            await eventually(lambda: core.began == {"a"})


async def test_a_hit_the_core_could_not_commit_comes_again(path, tmp_path):
    with working(tmp_path / "gate", path) as camera:
        async with core_at(path) as core:
            core.refuse = 3
            camera.tell(hit("a"))
            await eventually(lambda: not camera.index.waiting_hits())
            assert core.taken == [("a", "began")]
            assert core.hub.hits_total == 4


async def test_a_core_killed_before_the_acknowledgement_gets_the_hit_again(path, tmp_path):
    def take_one_and_die():
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            listener.settimeout(30)
            sock, _ = listener.accept()
            with sock:
                while not isinstance(worker.decode_to_core(framing.recv_message(sock)), HitReport):
                    pass
        path.unlink()

    with working(tmp_path / "gate", path) as camera:
        camera.tell(hit("a"))
        await asyncio.to_thread(take_one_and_die)
        assert camera.index.waiting_hits()
        async with core_at(path) as core:
            await eventually(lambda: core.taken == [("a", "began")])


async def test_a_full_queue_gives_up_the_oldest_counts_it_and_still_loses_no_beginning(
    path, tmp_path
):
    with working(tmp_path / "gate", path) as camera:
        camera.tell(hit("a"))
        for number in range(OUT_LIMIT + 50):
            camera.line.put(status(number))
        assert camera.line.dropped_total == 51
        async with core_at(path) as core:
            await eventually(lambda: len(core.statuses) == OUT_LIMIT)
            assert core.began == {"a"}
        assert [s.main.frames_total for s in core.statuses] == list(range(50, OUT_LIMIT + 50))


async def test_what_is_put_before_the_stop_is_still_sent(path, tmp_path):
    async with core_at(path) as core:
        with working(tmp_path / "gate", path) as camera:
            await eventually(lambda: camera.line.is_connected)
            camera.line.put(status(7))
        await eventually(lambda: core.statuses)
        assert core.statuses[-1].main.frames_total == 7


async def test_nonsense_on_the_line_ends_that_line_only(path, tmp_path):
    async with core_at(path) as core:
        with working(tmp_path / "gate", path) as camera:
            for junk in (b"\x00\x00\x00\x02\xc1\xc1", b"\xff\xff\xff\xff", b"\x00"):
                _, writer = await asyncio.open_unix_connection(path)
                writer.write(junk)
                writer.close()
                await writer.wait_closed()
            camera.tell(hit("a"))
            await eventually(lambda: core.taken)


# What the core asks of workers


async def test_a_picture_is_asked_for_and_given(path, tmp_path):
    async with core_at(path) as core:
        with working(tmp_path / "gate", path):
            await eventually(lambda: core.hub.is_connected("gate"))
            replies = await asyncio.gather(*(core.hub.picture("gate") for _ in range(5)))
    assert {reply.jpeg for reply in replies} == {b"\xff\xd8picture"}
    assert len({reply.request_id for reply in replies}) == 5


async def test_without_a_worker_or_its_answer_there_is_an_error_with_a_code(path, monkeypatch):
    monkeypatch.setattr("agent.app.worker_hub.PICTURE_TIMEOUT_S", 0.2)
    async with core_at(path) as core:
        with pytest.raises(CameraError) as caught:
            await core.hub.picture("gate")
        assert caught.value.code == "camera.worker_silent"

        _, writer = await asyncio.open_unix_connection(path)
        await framing.write_frame(writer, worker.encode(Hello(camera_id="gate", pid=1)))
        await eventually(lambda: core.hub.is_connected("gate"))
        with pytest.raises(CameraError) as caught:
            await core.hub.picture("gate")
        assert caught.value.code == "camera.no_picture"
        writer.close()
        await writer.wait_closed()
        await eventually(lambda: not core.hub.is_connected("gate"))


async def test_new_settings_reach_the_worker(path, tmp_path):
    camera_settings = CameraSettings(camera_id="gate", main_url="rtsp://10.0.0.1/", detect_fps=2.0)
    async with core_at(path) as core:
        with working(tmp_path / "gate", path) as camera:
            await eventually(lambda: core.hub.is_connected("gate"))
            await core.hub.retune(camera_settings)
            await eventually(lambda: camera.messages)
    (told,) = camera.messages
    assert isinstance(told, Retune)
    assert msgspec.json.decode(told.camera_json, type=CameraSettings) == camera_settings


async def test_a_restarted_worker_takes_its_place_and_the_old_line_s_end_changes_nothing(path):
    async with core_at(path) as core:
        lines = []
        for _ in range(2):
            _, writer = await asyncio.open_unix_connection(path)
            await framing.write_frame(writer, worker.encode(Hello(camera_id="gate", pid=1)))
            await framing.write_frame(writer, worker.encode(status(len(lines))))
            lines.append(writer)
            await eventually(lambda: len(core.statuses) == len(lines))
        lines[0].close()
        await lines[0].wait_closed()
        await asyncio.sleep(0.05)
        assert core.hub.is_connected("gate")
        assert core.hub.status("gate").main.frames_total == 1
        lines[1].close()
        await lines[1].wait_closed()


async def test_an_old_word_is_not_taken_for_the_truth(path):
    clock = FakeClock()
    async with core_at(path, clock) as core:
        _, writer = await asyncio.open_unix_connection(path)
        await framing.write_frame(writer, worker.encode(status()))
        await eventually(lambda: core.statuses)
        assert core.hub.status("gate") is not None
        clock.pass_s(STALE_STATUS_S + 1)
        assert core.hub.status("gate") is None
        assert core.hub.statuses() == []
        writer.close()
        await writer.wait_closed()
