"""Every kind of camera trouble ends the run with its cause, is said, and heals by itself."""

import contextlib
import http.server
import random
import socket
import threading
from pathlib import Path

import pytest
from av.error import InvalidDataError

from agent.core.clock import SystemClock
from agent.ingest import greeting, tries
from agent.messages.worker import CameraState
from agent.simulators.broker import free_port
from agent.simulators.camera.media import load_media
from tests.camera_thread import CameraThread, Notes, Watcher, eventually
from tests.footage_maker import make_clip
from tests.recording import Tape

FPS = 10


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return load_media(make_clip(path, fps=FPS, seconds=1, size_px=(160, 120)))


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """An unknown camera gets 10 s to answer; here it gets less."""
    monkeypatch.setattr(tries, "OPEN_TIMEOUT_S", 1.5)
    monkeypatch.setattr(greeting, "GREETING_TIMEOUT_S", 0.5)


@pytest.fixture
def camera(media):
    with CameraThread(media) as camera:
        yield camera


def frames_flow(watcher, count=FPS):
    """Wait until `count` more frames have come."""
    wanted = watcher.status.frames_total + count
    eventually(lambda: watcher.status.frames_total >= wanted, "frames")


def test_a_healthy_stream_is_one_run_from_a_key_frame_without_a_missing_frame(camera):
    with Watcher(camera.url, Notes()) as watcher:
        frames_flow(watcher, 2 * FPS)
        assert watcher.status.state is CameraState.ONLINE
        assert (watcher.status.codec, watcher.status.width_px) == ("h264", 160)
    (run,) = watcher.sink.runs
    assert run.keys[0]
    assert run.steps == {run.times[1] - run.times[0]}
    assert run.cause == "stopped"


def test_a_wrong_password_is_said_and_not_tried_again_and_again(camera):
    with Watcher(camera.url, Notes(), password="falsch") as watcher:
        eventually(lambda: watcher.status.state is CameraState.AUTH_FAILED, "auth-failed")
        assert watcher.status.code == "camera.wrong_password"
        assert "falsch" not in watcher.status.detail
        before = camera.connects_total
        watcher.stop.wait(3.0)  # the first back-offs would all be over by now
        assert camera.connects_total == before
    assert watcher.sink.runs == []


def test_a_new_password_is_tried_at_once(camera):
    password = ["falsch"]
    with Watcher(camera.url, Notes(), password="falsch") as watcher:
        address = watcher.session._address
        watcher.session._address = lambda: address().__class__(camera.url, "admin", password[0])
        eventually(lambda: watcher.status.state is CameraState.AUTH_FAILED, "auth-failed")
        password[0] = "geheim"
        watcher.session.restart()
        frames_flow(watcher)


def test_a_closed_port_is_refused_and_the_camera_is_found_when_it_appears(media):
    port = free_port()
    with Watcher(f"rtsp://127.0.0.1:{port}/main", Notes()) as watcher:
        eventually(lambda: watcher.status.code == "camera.refused", "refused")
        assert watcher.status.state is CameraState.LOST
        with CameraThread(media, port):
            frames_flow(watcher)
            assert watcher.status.state is CameraState.ONLINE
            assert watcher.status.code is None


@contextlib.contextmanager
def web_server():
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Quiet", (http.server.SimpleHTTPRequestHandler,), {
            "log_message": lambda *_: None}))  # fmt: skip
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def port_that(answers):
    """A TCP port where `answers(connection)` treats each one that comes."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)

        def serve():
            open_ones = []
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
                    open_ones.append(connection)
                    with contextlib.suppress(OSError):
                        answers(connection)
            for connection in open_ones:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join()


def random_bytes():
    dice = random.Random(7)
    return port_that(lambda connection: connection.sendall(dice.randbytes(4096)))


@pytest.mark.parametrize(
    ("place", "state", "code"),
    [
        pytest.param(
            web_server, CameraState.NOT_A_CAMERA, "camera.not_a_camera", id="a web server"
        ),
        pytest.param(
            random_bytes, CameraState.NOT_A_CAMERA, "camera.not_a_camera", id="random bytes"
        ),
        pytest.param(
            lambda: port_that(lambda _: None), CameraState.LOST, "camera.timeout", id="silence"
        ),
    ],
)
def test_what_is_no_camera_is_said_in_words_and_ends_nothing(place, state, code):
    with place() as port, Watcher(f"rtsp://127.0.0.1:{port}/main", Notes()) as watcher:
        eventually(lambda: watcher.status.code is not None, "a verdict")
        assert (watcher.status.state, watcher.status.code) == (state, code)
        assert watcher._thread.is_alive()
        assert watcher.sink.runs == []


def test_a_camera_that_does_not_describe_its_stream_is_late_and_not_another_device(camera):
    camera.faults.hang_describe = True
    with Watcher(camera.url, Notes()) as watcher:
        eventually(lambda: watcher.status.code is not None, "a verdict")
        assert (watcher.status.state, watcher.status.code) == (CameraState.LOST, "camera.timeout")


@pytest.mark.parametrize("fault", ["stall", "rtcp_only"])
def test_a_camera_that_keeps_the_line_but_sends_no_video_ends_the_run_and_comes_back(camera, fault):
    with Watcher(camera.url, Notes()) as watcher:
        frames_flow(watcher)
        setattr(camera.faults, fault, True)
        eventually(lambda: watcher.sink.ended, "the end of the run")
        assert watcher.sink.runs[0].cause == "timeout"
        eventually(lambda: watcher.status.state is CameraState.LOST, "lost")
        setattr(camera.faults, fault, False)
        frames_flow(watcher)
        assert watcher.status.state is CameraState.ONLINE
    assert len(watcher.sink.runs) == 2
    assert all(run.keys[0] for run in watcher.sink.runs)


class RecorderSink(Notes):
    """The main stream's sink as in a worker: into the recorder."""

    def __init__(self, recorder):
        super().__init__()
        self.recorder = recorder

    def run_started(self, stream, facts):
        super().run_started(stream, facts)
        self.recorder.run_started(stream, facts.codec, (facts.width_px, facts.height_px))

    def packet(self, packet, arrived_mono_s):
        super().packet(packet, arrived_mono_s)
        self.recorder.packet(packet, arrived_mono_s)

    def run_ended(self, cause):
        super().run_ended(cause)
        self.recorder.run_ended(cause)


def test_a_camera_without_power_for_two_seconds_is_two_runs_and_one_gap(media, tmp_path):
    tape = Tape(tmp_path / "camera", SystemClock())
    camera = CameraThread(media)
    with camera:
        watching = Watcher(camera.url, RecorderSink(tape.recorder))
        watching.__enter__()
        frames_flow(watching, 2 * FPS)
    threading.Event().wait(2.0)
    with camera:
        frames_flow(watching, 2 * FPS)
        watching.__exit__()

    first, second = watching.sink.runs
    cut, stopped = tape.rows("gaps")
    assert stopped["cause"] == second.cause == "stopped"
    assert cut["cause"] == first.cause
    assert cut["to_utc_us"] > cut["from_utc_us"]
    fed = len(first.times) + len(second.times)
    assert sum(segment["frames"] for segment in tape.segments()) == fed
    tape.index.close()


def test_a_jump_of_the_time_stamps_is_a_new_run_and_loses_no_more_than_a_gop(camera):
    with Watcher(camera.url, Notes(), stall_s=5.0) as watcher:
        frames_flow(watcher)
        camera.jump(3600)
        eventually(lambda: len(watcher.sink.runs) == 2, "a second run")
        frames_flow(watcher)
        assert watcher.status.connects_total == 1
    first, second = watcher.sink.runs
    assert first.cause == "timestamp-jump"
    assert second.keys[0]
    assert len(first.steps) == len(second.steps) == 1


def test_what_a_sink_can_not_decode_is_a_camera_in_trouble_and_not_another_device(camera):
    class Choosy(Notes):
        def packet(self, packet, arrived_mono_s):
            super().packet(packet, arrived_mono_s)
            if len(self.runs) == 1 and len(self.runs[0].times) == 5:
                raise InvalidDataError(1, "broken picture")

    with Watcher(camera.url, Choosy()) as watcher:
        eventually(lambda: watcher.sink.ended, "the end of the run")
        assert watcher.sink.runs[0].cause == "garbled"
        frames_flow(watcher)
    assert len(watcher.sink.runs) == 2


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_thirty_reconnects_leak_no_descriptor_and_no_thread(camera):
    with contextlib.ExitStack() as stack:
        watchers = [stack.enter_context(Watcher(camera.url, Notes())) for _ in range(6)]

        def all_runs(count):
            eventually(lambda: all(len(w.sink.runs) == count for w in watchers), f"run {count}")

        all_runs(1)
        before = open_descriptors(), threading.active_count()
        for count in range(2, 7):
            for watcher in watchers:
                watcher.session.restart()
            all_runs(count)
        assert camera.connects_total == 36
        eventually(lambda: open_descriptors() <= before[0], "closed descriptors")
        assert threading.active_count() == before[1]


def test_one_camera_in_trouble_costs_the_other_no_packet(camera, media):
    with (
        CameraThread(media) as other,
        Watcher(camera.url, Notes()) as troubled,
        Watcher(other.url, Notes()) as fine,
    ):
        frames_flow(troubled)
        frames_flow(fine)
        camera.faults.stall = True
        eventually(lambda: troubled.status.state is CameraState.LOST, "lost")
        camera.faults.stall, camera.faults.disconnect = False, True
        frames_flow(troubled)
        frames_flow(fine)
    (run,) = fine.sink.runs
    assert len(run.steps) == 1
    assert run.cause == "stopped"
