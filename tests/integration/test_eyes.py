"""The eyes ask no more than they may, tell what rules find, and never stop for a detector."""

import contextlib
import io
import socket
import threading
from fractions import Fraction

import av
import msgspec
import numpy as np
import pytest
from av.error import FFmpegError

from agent.app.eyes import MAX_BAD_FRAMES, Eyes
from agent.contract.events import MAX_THUMBNAIL_BYTES, Region
from agent.core.clock import SystemClock
from agent.core.framing import FramingError, recv_message, send_message
from agent.detect.client import DetectClient
from agent.detect.manifest import load_manifest
from agent.detect.wire import DetectReply, DetectRequest
from agent.exam.sitting import MediaClock
from agent.ingest.source import StreamFacts
from agent.messages.vision import Detection, HitState
from agent.settings.model import CameraSettings, IntrusionRule
from agent.settings.rules import TamperRule
from tests.footage_maker import make_clip
from tests.recording import packets_of

FPS = 10
FACTS = StreamFacts("h264", 320, 240, Fraction(1, 90_000))
YARD = IntrusionRule(
    rule_id="yard", zone=((0, 0), (1, 0), (1, 1), (0, 1)), dwell_s=1.0, clear_s=1.0
)
SOMEBODY = Detection("person", 0.9, Region(0.4, 0.3, 0.1, 0.4))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", fps=FPS, seconds=8)


class Detector:
    """The detect process's place: answers each question with what `sees(number)` says."""

    def __init__(self, path, sees, every_s=0.0):
        self.asked, self._sees, self._every_s = 0, sees, every_s
        self.questions = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        with contextlib.suppress(OSError, FramingError):
            sock, _ = self._listener.accept()
            with sock:
                while (head := recv_message(sock)) is not None:
                    recv_message(sock)
                    question = msgspec.msgpack.decode(head, type=DetectRequest)
                    self.asked += 1
                    self.questions.append(question)
                    answer = DetectReply(
                        frame_id=question.frame_id,
                        detections=self._sees(self.asked),
                        model="test/1",
                        took_ms=1.0,
                        every_s=self._every_s,
                    )
                    send_message(sock, msgspec.msgpack.encode(answer))

    def end(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


class Scene:
    """Eyes on a clip, with or without a detector."""

    def __init__(self, folder, sees=None, every_s=0.0, **camera):
        fields = {"camera_id": "gate", "main_url": "rtsp://127.0.0.1/", "rules": (YARD,)} | camera
        self.camera = CameraSettings(**fields)
        path = folder / "detect.sock"
        self.detector = Detector(path, sees, every_s) if sees else None
        self.client = DetectClient(path, SystemClock(), camera_id="gate")
        self.hits = []
        self.eyes = Eyes(self.camera, self.client, load_manifest(), self.hits.append, SystemClock())

    def watch(self, clip, before_frame=lambda _: None):
        """Show the clip; its media time is the time of arrival."""
        with av.open(str(clip)) as container:
            self.eyes.run_started(container.streams.video[0], FACTS)
            for number, packet in enumerate(packets_of(container)):
                before_frame(number)
                self.eyes.packet(packet, 1000.0 + number / FPS)
            self.eyes.run_ended("lost")

    def end(self):
        self.client.close()
        if self.detector:
            self.detector.end()

    @property
    def states(self):
        return [hit.state for hit in self.hits]


@pytest.fixture
def scene(tmp_path):
    scenes = []

    def make(*args, **kwargs):
        scenes.append(Scene(tmp_path, *args, **kwargs))
        return scenes[-1]

    yield make
    for one in scenes:
        one.end()


def test_who_stays_is_told_with_a_picture_that_fits_and_told_again_when_gone(scene, clip):
    watching = scene(lambda number: (SOMEBODY,) if number <= 15 else ())
    watching.watch(clip)

    began, *_, ended = watching.hits
    assert (began.state, ended.state) == (HitState.BEGAN, HitState.ENDED)
    assert (began.camera_id, began.rule_id, began.kind) == ("gate", "yard", "intrusion")
    assert began.objects[0].label == "person"
    assert began.model == "test/1"
    assert 0 < len(began.picture_jpeg) <= MAX_THUMBNAIL_BYTES
    with av.open(io.BytesIO(began.picture_jpeg), format="mjpeg") as picture:
        (frame,) = picture.decode(video=0)
    assert (frame.width, frame.height) == (began.picture_width_px, began.picture_height_px)
    assert ended.picture_jpeg is None
    assert len({hit.hit_id for hit in watching.hits}) == len(watching.hits)
    assert watching.eyes.status.state == "ready"


def test_without_a_detector_a_handful_keeps_one_picture_and_loses_no_motion(scene, clip):
    def seen(**camera):
        watching = scene(**camera)
        shown, held = [], []
        watching.eyes._watchers = (lambda frame, _at, mono_s: shown.append((frame, mono_s)),)

        def look(_number):
            held.append([one.frame is not None for one in watching.eyes._held])

        watching.watch(clip, look)
        return watching.eyes.status, shown, held

    blind, shown, held = seen(detect=False, rules=())
    assert max(map(len, held)) > 1
    assert all(sum(handful) == bool(handful) and all(handful[-1:]) for handful in held)
    assert 0 < len(shown) < blind.frames_total == FPS * 8

    watched, each, _ = seen(detect=False, rules=(TamperRule(rule_id="hands-off"),))
    assert len(each) == watched.frames_total  # a rule that looks at the picture needs them all
    looking, each, _ = seen(rules=())
    assert len(each) == looking.frames_total == blind.frames_total
    assert looking.motion_frames_total == blind.motion_frames_total > 0


@pytest.mark.parametrize("detect_fps", [2.0, 5.0])
def test_it_asks_no_more_often_than_the_settings_say(scene, clip, detect_fps):
    watching = scene(lambda _: (), detect_fps=detect_fps)
    watching.watch(clip)
    assert 0 < watching.detector.asked <= detect_fps * 8 + 1
    status = watching.eyes.status
    assert status.frames_total == 8 * FPS
    assert status.asked_total == status.answered_total == watching.detector.asked


def test_without_a_detector_nothing_is_claimed_and_nothing_stops(scene, clip):
    watching = scene()
    watching.watch(clip)
    status = watching.eyes.status
    assert status.state == "motion-only"
    assert status.frames_total == 8 * FPS
    assert status.motion_frames_total > 0
    assert status.shed_total == status.asked_total > 0
    assert watching.hits == []
    assert watching.eyes.view.frame is not None


def test_a_camera_that_need_not_be_looked_at_is_never_asked_about(scene, clip):
    watching = scene(lambda _: (SOMEBODY,), detect=False)
    watching.watch(clip)
    assert watching.detector.asked == 0
    assert watching.eyes.status.state == "off"
    assert watching.hits == []


def test_a_new_rule_holds_from_the_next_frame_on_while_the_stream_goes_on(scene, clip):
    watching = scene(lambda _: (SOMEBODY,), rules=())

    def retune(number):
        if number == 20:
            assert watching.hits == []
            watching.eyes.retune(msgspec.structs.replace(watching.camera, rules=(YARD,)))

    watching.watch(clip, retune)
    assert watching.states[0] is HitState.BEGAN
    assert watching.states.count(HitState.BEGAN) == 1


def test_other_settings_do_not_make_a_rule_begin_anew(scene, clip):
    watching = scene(lambda _: (SOMEBODY,))

    def retune(number):
        if number == 40:
            watching.eyes.retune(msgspec.structs.replace(watching.camera, detect_fps=4.0))

    watching.watch(clip, retune)
    assert watching.states.count(HitState.BEGAN) == 1


def test_who_was_followed_is_nobody_once_the_detector_is_left_out(scene, clip):
    """As in heat: nobody follows them on, so no box may stay where they were."""
    watching = scene(lambda _: (SOMEBODY,))
    seen = {}

    def retune(number):
        seen[number] = watching.eyes.view.objects
        if number == 40:
            watching.eyes.retune(msgspec.structs.replace(watching.camera, detect=False))

    watching.watch(clip, retune)
    assert seen[40]
    assert not seen[60]


def test_broken_pictures_are_passed_over_until_there_are_too_many(scene, clip):
    watching = scene()
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        watching.eyes.run_started(stream, FACTS)
        junk = []
        for _ in range(MAX_BAD_FRAMES):
            packet = av.Packet(b"\x00\x00\x00\x02\x65\xff" * 20)
            packet.stream, packet.dts, packet.time_base = stream, 0, stream.time_base
            junk.append(packet)
        for packet in junk[: MAX_BAD_FRAMES - 1]:
            watching.eyes.packet(packet, 1000.0)
        with pytest.raises(FFmpegError):
            watching.eyes.packet(junk[-1], 1000.0)
    watching.watch(clip)
    assert watching.eyes.status.frames_total == 8 * FPS


def test_frames_gather_only_while_nobody_waits_for_them(scene, clip):
    watching = scene(lambda _: (SOMEBODY,))
    assert watching.eyes.gather_s() > 0
    watching.watch(clip)
    assert watching.eyes.gather_s() == 0


def test_where_no_detector_looks_nobody_ever_waits_for_a_frame(scene, clip):
    watching = scene(detect=False)
    watching.watch(clip)
    assert watching.eyes.status.motion_frames_total > 0
    assert watching.eyes.gather_s() > 0


def test_a_handful_is_looked_at_when_nothing_more_comes_for_a_while_and_none_is_kept_long(
    scene, clip
):
    eyes = scene(detect=False).eyes
    with av.open(str(clip)) as container:
        eyes.run_started(container.streams.video[0], FACTS)
        packets = packets_of(container)
        for number in range(3):
            eyes.packet(next(packets), 1000.0 + number / FPS)
        assert eyes.status.frames_total < 3
        eyes.flush()
        assert eyes.status.frames_total == 3
        assert eyes.view.mono_s == 1000.0 + 2 / FPS
        for number, packet in enumerate(packets, start=3):
            eyes.packet(packet, 1000.0 + number / FPS)
        assert eyes.status.frames_total > 6 * FPS


def test_it_asks_no_more_often_than_its_share_and_tells_what_was_shed(scene, clip):
    watching = scene(lambda _: (SOMEBODY,), every_s=1.0, detect_fps=5.0)
    watching.watch(clip)
    status = watching.eyes.status
    assert status.answered_total <= 8 + 2
    assert status.shed_total == status.wished_total - status.answered_total > 8
    assert 0 < status.shed_share < 1


def test_a_camera_where_a_rule_holds_tells_of_more_need(scene, clip):
    watching = scene(lambda _: (SOMEBODY,))
    watching.watch(clip)
    first, *_, last = watching.detector.questions
    assert last.need > first.need
    assert last.wished_per_s == 5.0


class Noting:
    """Answers at once with somebody of a middling score, and notes what it was shown."""

    manifest = None

    def __init__(self):
        self.state, self.shapes = "ready", []

    def detect(self, picture, frame_id, _wish=None):
        self.shapes.append(picture.image.shape)
        found = (Detection("person", 0.6, SOMEBODY.region),)
        return DetectReply(frame_id=frame_id, detections=found, model="t/1", took_ms=1.0)


def test_a_camera_is_seen_by_the_file_for_its_shape_and_by_another_when_it_changes_it():
    clock, detector = MediaClock(), Noting()
    camera = CameraSettings(camera_id="gate", main_url="rtsp://b/")
    eyes, followed = Eyes(camera, detector, load_manifest(), lambda _: None, clock), []
    for number in range(60):
        picture = np.full((360 if number < 30 else 480, 640, 3), 90, np.uint8)
        picture[200:300, 10 * number :][:, :80] = 250  # something moves
        clock.now_s = number / 5
        eyes.look(av.VideoFrame.from_ndarray(picture, format="rgb24"), clock.now_s)
        followed.append(len(eyes.view.objects))
    assert list(dict.fromkeys(detector.shapes)) == [(256, 416, 3), (320, 416, 3)]
    assert (max(followed[:30]), max(followed[30:])) == (1, 0)  # whom it believes is its own, too
