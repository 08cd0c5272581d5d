"""One detect process serves all cameras in turn, and one bad camera costs only itself."""

import contextlib
import socket
import threading

import av
import msgspec
import numpy as np
import pytest

from agent.app.eyes import Eyes
from agent.app.look_rhythm import IDLE_LOOK_EVERY_S
from agent.core.clock import SystemClock
from agent.core.framing import recv_message, send_message
from agent.detect.client import DetectClient, DetectorState
from agent.detect.detector import open_detector
from agent.detect.letterbox import FrameScaler, Letterboxed
from agent.detect.manifest import load_manifest
from agent.detect.server import serve
from agent.detect.sharing import Wish
from agent.detect.wire import DetectReply, DetectRequest
from agent.exam.sitting import MediaClock
from agent.settings.model import CameraSettings
from agent.simulators.drawn_scene import WALK_BEGINS_S, frames
from tests.model_folder import ModelMaker


@pytest.fixture(scope="module")
def detector():
    return open_detector()


@pytest.fixture(scope="module")
def walker(detector):
    """A detector input with the drawn walker in the middle."""
    *_, picture = frames(640, 360, 1.0, WALK_BEGINS_S + 6)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    return FrameScaler(detector.manifest.input).to_detector_input(frame)


class Service:
    """A server running in a thread."""

    def __init__(self, path, detector):
        self.path, self.beats = path, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=serve, args=(path, detector, self._beat, self._stop))
        self._thread.start()
        while not self.beats:
            self._stop.wait(0.01)

    def _beat(self):
        self.beats += 1

    def stop(self):
        self._stop.set()
        self._thread.join()


@pytest.fixture
def service(tmp_path, detector):
    with contextlib.ExitStack() as stack:
        made = Service(tmp_path / "d.sock", detector)
        stack.callback(made.stop)
        yield made


def raw_client(service):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(10)
    sock.connect(str(service.path))
    return sock


def request(frame_id, width_px=416, height_px=234, shape=(256, 416)):
    return msgspec.msgpack.encode(
        DetectRequest(
            camera_id="cam",
            frame_id=frame_id,
            width_px=shape[1],
            height_px=shape[0],
            content_width_px=width_px,
            content_height_px=height_px,
            at_mono_s=0.0,
        )
    )


def test_a_client_gets_what_the_detector_sees(service, detector, walker):
    client = DetectClient(service.path, SystemClock(), camera_id="cam-1")
    reply = client.detect(walker, 41)
    assert reply.frame_id == 41
    assert reply.model == detector.manifest.model
    assert reply.took_ms > 0
    expected = detector.detect(walker.image, walker.content_width_px, walker.content_height_px)
    assert list(reply.detections) == expected
    assert expected[0].label == "person"
    assert client.state is DetectorState.READY
    assert (client.counters.asked, client.counters.answered) == (1, 1)
    client.close()


def test_cameras_of_both_shapes_are_answered_each_by_the_file_for_its_own(service, detector):
    *_, picture = frames(640, 480, 1.0, WALK_BEGINS_S + 6)
    scaler = FrameScaler(*detector.manifest.inputs)
    tall = scaler.to_detector_input(av.VideoFrame.from_ndarray(picture, format="rgb24"))
    wide = scaler.to_detector_input(av.VideoFrame.from_ndarray(picture[60:420], format="rgb24"))
    assert (tall.image.shape, wide.image.shape) == ((320, 416, 3), (256, 416, 3))
    client = DetectClient(service.path, SystemClock(), camera_id="cam-1")
    for number, made in enumerate([wide, tall, wide]):
        found = client.detect(made, number).detections
        assert [one.label for one in found if one.score >= 0.5] == ["person"]
    client.close()


def test_a_camera_goes_by_the_model_that_answers_whatever_it_chose_itself(tmp_path, detector):
    """What it chose was rolled back; later another model answers, with one file alone."""
    path, clock = tmp_path / "d.sock", MediaClock()
    chosen = load_manifest(ModelMaker(tmp_path).tiny_onnx())
    client = DetectClient(path, SystemClock(), camera_id="cam-1")
    camera = CameraSettings(camera_id="cam-1", main_url="rtsp://b/")
    eyes = Eyes(camera, client, chosen, lambda _: None, clock)
    *_, picture = frames(640, 480, 1.0, WALK_BEGINS_S + 6)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")

    def sees():
        clock.now_s += IDLE_LOOK_EVERY_S
        eyes.look(frame, clock.now_s)
        return [thing.label for thing in eyes.view.found if thing.score > 0.4]

    for answering in (detector, open_detector(ModelMaker(tmp_path).shipped("wide-only"))):
        service = Service(path, answering)
        answered = client.counters.answered
        while client.counters.answered < answered + 3:
            seen = sees()
        assert seen == ["person"]
        assert eyes.model == answering.manifest.model
        service.stop()
    client.close()


def test_many_cameras_are_all_answered_with_their_own_frames(service, walker):
    answers = {}

    def ask(camera):
        client = DetectClient(service.path, SystemClock())
        answers[camera] = [client.detect(walker, camera * 100 + n) for n in range(5)]
        client.close()

    threads = [threading.Thread(target=ask, args=(camera,)) for camera in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for camera, replies in answers.items():
        assert [reply.frame_id for reply in replies] == [camera * 100 + n for n in range(5)]


def test_a_busy_camera_does_not_crowd_out_another(service, walker):
    """Both send all their questions at once; the answers come in turn."""
    order, picture = [], walker.image.tobytes()
    began = threading.Barrier(2)

    def ask(name):
        with raw_client(service) as sock:
            began.wait()
            for n in range(6):
                send_message(sock, request(n))
                send_message(sock, picture)
                recv_message(sock)
                order.append(name)

    threads = [threading.Thread(target=ask, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(order[:8].count("a"), order[:8].count("b")) <= 6
    assert order.count("a") == order.count("b") == 6


@pytest.mark.parametrize(
    "nonsense",
    [
        pytest.param([b"not msgpack"], id="no request"),
        pytest.param([request(1), b"too short"], id="a picture of the wrong size"),
        pytest.param([request(1, 417), bytes(256 * 416 * 3)], id="more content than picture"),
        pytest.param([request(1, shape=(320, 416)), bytes(256 * 416 * 3)], id="another shape"),
        pytest.param([request(1, shape=(1, 1)), bytes(3)], id="a shape there is no file for"),
        pytest.param([b"x" * 400_000], id="a message beyond the cap"),
    ],
)
def test_nonsense_costs_only_the_one_who_sends_it(service, walker, nonsense):
    good = DetectClient(service.path, SystemClock())
    assert good.detect(walker, 1)
    with raw_client(service) as bad:
        with contextlib.suppress(OSError):
            for message in nonsense:
                send_message(bad, message)
        with contextlib.suppress(ConnectionResetError):
            assert recv_message(bad) is None  # hung up
    assert good.detect(walker, 2).frame_id == 2
    assert good.state is DetectorState.READY
    good.close()


def test_a_client_that_hung_up_before_its_turn_costs_no_inference(service, walker):
    for _ in range(3):
        with raw_client(service) as gone:
            send_message(gone, request(1))
            send_message(gone, walker.image.tobytes())
    good = DetectClient(service.path, SystemClock())
    assert good.detect(walker, 9).frame_id == 9
    good.close()


def test_it_beats_while_nobody_asks(service):
    seen = service.beats
    waiter = threading.Event()
    while service.beats < seen + 2:
        waiter.wait(0.05)


def test_a_socket_left_by_a_killed_process_is_no_obstacle(tmp_path, detector, walker):
    path = tmp_path / "d.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    service = Service(path, detector)
    client = DetectClient(path, SystemClock())
    assert client.detect(walker, 1)
    client.close()
    service.stop()
    assert not path.exists()


def test_the_wire_survives_an_empty_answer():
    reply = DetectReply(frame_id=1, detections=(), model="m/1", took_ms=1.0)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(reply), type=DetectReply) == reply


def test_an_all_grey_picture_shows_nothing(service, detector):
    grey = Letterboxed(np.full((256, 416, 3), 114, np.uint8), 416, 256)
    client = DetectClient(service.path, SystemClock())
    assert client.detect(grey, 1).detections == ()
    client.close()


def test_each_camera_is_told_its_share_the_needier_one_the_shorter_wait(tmp_path, walker):
    class Slow:
        """Takes as long as a weak box; what it sees does not matter."""

        manifest, shapes = open_detector().manifest, open_detector().shapes

        def detect(self, *_):
            threading.Event().wait(0.05)
            return []

    service = Service(tmp_path / "slow.sock", Slow())
    clients = [DetectClient(service.path, SystemClock(), camera_id=name) for name in "ab"]
    for _ in range(5):
        calm, alarmed = (
            client.detect(walker, 1, Wish(rate=30.0, need=need))
            for client, need in zip(clients, (1.0, 6.0), strict=True)
        )
    assert calm.every_s > alarmed.every_s > 1 / 30
    service.stop()
    for client in clients:
        client.close()
