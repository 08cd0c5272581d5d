"""Sound is recorded where it is allowed, in time with the pictures, and goes with a clip."""

from datetime import timedelta

import av
import pytest

from agent.buffer.index import from_micros
from agent.clips.export import ClipSource, export_clip
from agent.evidence.mp4_samples import read_media
from agent.ingest.session import IngestSession, StreamAddress
from agent.simulators.camera.media import load_media
from agent.simulators.camera.sound import AacTone, PcmuSilence
from tests.camera_zoo import CLOCK, STALL_S, CameraLoop, Visitor, ZooCamera, eventually, visits
from tests.footage_maker import make_clip


class Listener(Visitor):
    """A session that is allowed to listen, wired as a worker wires it."""

    def __init__(self, camera, folder):
        super().__init__(camera, folder)
        self.session = IngestSession(
            "main",
            self._address,
            self,
            CLOCK,
            self.stop,
            stall_s=STALL_S,
            on_sound=self.tape.recorder.sound,
        )
        self.thread._target = self.session.run

    def _address(self):
        return StreamAddress(self.camera.url, *self.login, audio=True)


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return load_media(make_clip(path, size_px=(160, 120)))


def length_s(path, kind):
    with av.open(str(path)) as container:
        (stream,) = [one for one in container.streams if one.type == kind]
        times = [packet.dts for packet in container.demux(stream) if packet.dts is not None]
        assert times == sorted(set(times))
        return float((times[-1] - times[0]) * stream.time_base)


def test_an_allowed_tone_is_recorded_with_the_pictures_and_goes_with_a_clip(media, tmp_path):
    visitor = Listener(ZooCamera({"": media}, sound=AacTone()), tmp_path / "camera")
    with CameraLoop([visitor.camera]), visits([visitor]):
        eventually(lambda: visitor.frames_since(0.0, 60), lambda: "frames")
    assert visitor.session.sound_fault is None
    rows = visitor.tape.segments()
    folder = visitor.tape.folder
    sources = []
    for row in rows:
        path = folder / row["path"]
        with av.open(str(path)) as container:
            assert [one.codec_context.name for one in container.streams] == ["h264", "aac"]
            heard = list(container.decode(audio=0))
            assert max(abs(frame.to_ndarray()).max() for frame in heard) > 0.1
        assert length_s(path, "audio") == pytest.approx(length_s(path, "video"), abs=0.7)
        sources.append(ClipSource(path, from_micros(row["start_utc_us"])))
    visitor.tape.index.close()

    since, until = sources[0].start_at, sources[-1].start_at + timedelta(seconds=60)
    clip = export_clip(sources, since, until, tmp_path / "clip.mp4")
    assert length_s(clip.path, "audio") == pytest.approx(length_s(clip.path, "video"), abs=0.7)
    told = read_media(clip.path)
    assert told.has_sound
    assert told.oddities == []
    assert len(told.samples) == clip.frames


def test_sound_that_mp4_can_not_hold_is_told_by_its_code(media, tmp_path):
    visitor = Listener(ZooCamera({"": media}, sound=PcmuSilence()), tmp_path / "pcmu")
    silent = Listener(ZooCamera({"": media}), tmp_path / "none")
    everyone = [visitor, silent]
    with CameraLoop([one.camera for one in everyone]), visits(everyone):
        for one in everyone:
            eventually(lambda one=one: one.frames_since(0.0, 12), lambda: "frames")
    assert visitor.session.sound_fault == "camera.sound_codec"
    assert silent.session.sound_fault == "camera.no_sound"
    for one in everyone:
        (segment,) = one.tape.segments()
        with av.open(str(one.tape.folder / segment["path"])) as container:
            assert [stream.type for stream in container.streams] == ["video"]
        one.tape.index.close()
