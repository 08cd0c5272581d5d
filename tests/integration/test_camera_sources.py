"""A file and the box's own sensor come through the same session as a camera on the network.

The sensor's software (picamera2) runs on a Raspberry Pi only: here a stand-in of its documented
interface gives real H.264 pictures. Not yet tried on a board.
"""

import sys
import threading
import types

import av
import pytest

from agent.messages.worker import CameraState
from tests.camera_zoo import CLOCK, Visitor, eventually, visits
from tests.footage_maker import make_clip

FPS = 10


class Place:
    """What a visitor needs of a camera: its address."""

    def __init__(self, url):
        self.url = url


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", size_px=(160, 120), fps=FPS)


def test_a_file_is_played_at_its_own_pace_and_again(clip, tmp_path):
    visitor = Visitor(Place(str(clip)), tmp_path / "camera")
    with visits([visitor]):
        eventually(lambda: len(visitor.runs) == 2, lambda: "a second run")
    first = visitor.runs[0]
    assert (first.cause, len(first.times)) == ("camera-closed", 2 * FPS)
    media_s = float(first.times[-1][0] - first.times[0][0])
    assert first.arrivals[-1] - first.arrivals[0] >= media_s * 0.99
    visitor.tape.index.close()


def test_a_file_that_is_none_is_said(tmp_path):
    (tmp_path / "letter.txt").write_text("Dear camera")
    visitor = Visitor(Place(str(tmp_path / "letter.txt")), tmp_path / "camera")
    with visits([visitor]):
        eventually(lambda: visitor.session.status.code is not None, lambda: "a verdict")
    assert visitor.session.status.code == "camera.no_such_stream"
    visitor.tape.index.close()


class Sensor:
    """picamera2's module as its manual documents it, as far as the source uses it."""

    def __init__(self, pictures):
        self.pictures, self.open, self.silent, self.refusals = pictures, 0, False, 0
        self.modules = {
            "picamera2": types.SimpleNamespace(Picamera2=self._camera),
            "picamera2.encoders": types.SimpleNamespace(H264Encoder=self._encoder),
            "picamera2.outputs": types.SimpleNamespace(Output=object),
        }

    def _encoder(self, bitrate=None, repeat=False, iperiod=None):
        assert repeat, "parameter sets must come with each key frame"
        return types.SimpleNamespace(iperiod=iperiod)

    def _camera(self, number):
        assert number == 0
        return StandInCamera(self)


class StandInCamera:
    """One `Picamera2` of the sensor."""

    def __init__(self, sensor):
        self._sensor = sensor
        if sensor.open:  # libcamera gives a sensor to one owner
            raise RuntimeError("Camera __init__ sequence did not complete.")
        sensor.open += 1
        self._over, self._threads = threading.Event(), []

    def create_video_configuration(self, main, lores, controls):
        assert lores["format"] == "YUV420"
        return types.SimpleNamespace(main=main, lores=lores, controls=controls)

    def configure(self, configuration):
        if self._sensor.refusals:
            self._sensor.refusals -= 1
            raise RuntimeError("Invalid format.")
        self.configuration = configuration

    def start_encoder(self, encoder, output, name):
        assert name in {"main", "lores"}
        self._threads.append(threading.Thread(target=self._send, args=(output,)))

    def start(self):
        for thread in self._threads:
            thread.start()

    def _send(self, output):
        for index in range(10_000):
            if self._over.wait(1 / FPS):
                return
            data, is_key = self._sensor.pictures[index % len(self._sensor.pictures)]
            if not self._sensor.silent:
                output.outputframe(data, is_key, index * 1_000_000 // FPS)

    def stop_recording(self):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def close(self):
        self._sensor.open -= 1


@pytest.fixture
def sensor(clip, monkeypatch):
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        to_annex_b = av.BitStreamFilterContext("h264_mp4toannexb", stream)
        pictures = [
            (bytes(out), out.is_keyframe)
            for packet in container.demux(stream)
            if packet.size
            for out in to_annex_b.filter(packet)
        ]
    sensor = Sensor(pictures)
    for name, module in sensor.modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return sensor


def test_the_boxs_own_sensor_is_recorded_stalls_and_comes_back(sensor, tmp_path):
    visitor = Visitor(Place("csi://0?size=160x120&fps=10"), tmp_path / "camera", stall_s=1.0)
    with visits([visitor]):
        eventually(lambda: visitor.frames_since(0.0, 12), lambda: f"{visitor.session.status}")
        assert visitor.session.status.width_px == 160
        sensor.silent = True
        eventually(
            lambda: visitor.session.status.state is CameraState.LOST, lambda: "a stalled sensor"
        )
        sensor.silent = False
        well_s = CLOCK.monotonic_s()
        eventually(lambda: visitor.frames_since(well_s, 12), lambda: "frames again")
    assert sensor.open == 0
    assert [run.cause for run in visitor.runs] == ["timeout", "stopped"]
    for row in visitor.tape.segments():
        with av.open(str(visitor.tape.folder / row["path"])) as container:
            assert sum(1 for _ in container.decode(video=0)) == row["frames"]
            told_s = row["duration_us"] / 1e6
            assert told_s == pytest.approx(row["frames"] / FPS)  # picamera2 stamps microseconds
            assert container.duration / av.time_base == pytest.approx(told_s, abs=0.5 / FPS)
    visitor.tape.index.close()


def test_both_streams_of_a_sensor_are_read_at_once_and_it_has_one_owner(sensor, tmp_path):
    main = Visitor(Place("csi://0?fps=10"), tmp_path / "main")
    sub = Visitor(Place("csi://0?fps=10&stream=sub"), tmp_path / "sub")
    with visits([main, sub]):
        for visitor in (main, sub):
            eventually(
                lambda visitor=visitor: visitor.frames_since(0.0, 12),
                lambda visitor=visitor: f"{visitor.session.status}",
            )
        assert sensor.open == 1
    assert sensor.open == 0
    for visitor in (main, sub):
        visitor.tape.index.close()


def test_a_sensor_that_somebody_else_has_or_an_address_that_is_none_is_said(sensor, tmp_path):
    sensor.open = 1
    taken = Visitor(Place("csi://0"), tmp_path / "taken")
    strange = Visitor(Place("csi://0?size=big"), tmp_path / "strange")
    with visits([taken, strange]):
        for visitor, code in ((taken, "camera.unreachable"), (strange, "camera.no_such_stream")):
            eventually(
                lambda visitor=visitor, code=code: visitor.session.status.code == code,
                lambda visitor=visitor: f"{visitor.session.status}",
            )
    for visitor in (taken, strange):
        visitor.tape.index.close()


def test_a_sensor_that_does_not_start_at_once_is_not_held_by_the_try(sensor, tmp_path):
    sensor.refusals = 1
    visitor = Visitor(Place("csi://0?fps=10"), tmp_path / "camera")
    with visits([visitor]):
        eventually(lambda: visitor.frames_since(0.0, 3), lambda: f"{visitor.session.status}")
    assert (sensor.open, sensor.refusals) == (0, 0)
    visitor.tape.index.close()


def test_a_box_without_the_sensors_software_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    visitor = Visitor(Place("csi://0"), tmp_path / "camera")
    with visits([visitor]):
        eventually(lambda: visitor.session.status.code is not None, lambda: "a verdict")
    assert "no software for a camera sensor" in visitor.session.status.detail
    visitor.tape.index.close()
