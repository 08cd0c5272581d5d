"""What a camera sent is what is on the disk: pictures, their order, signed user data, no sound."""

from itertools import pairwise

import av
import pytest

from agent.ingest.session import StreamAddress
from agent.simulators.camera.media import load_media
from agent.simulators.camera.nal_units import USER_DATA_UUID, split_sample, user_data_sei
from agent.simulators.camera.sound import PcmuSilence
from tests.camera_zoo import CLOCK, CameraLoop, Visitor, ZooCamera, eventually, visits
from tests.footage_maker import make_clip

# Zeros and start codes, so that emulation prevention and length prefixes are put to the test.
SIGNATURE = bytes(range(256)) + b"\x00\x00\x01\x00\x00\x00\x00\x01signed by the camera"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Four seconds each of four cameras, recorded at once: name -> (visitor, its segments)."""
    folder = tmp_path_factory.mktemp("recorded")
    wanted = {
        "h264": {"signature": SIGNATURE},
        "hevc": {"signature": SIGNATURE, "codec": "libx265"},
        "b-frames": {"bframes": 3},
        "audio": {},
    }
    visitors = {}
    for name, how in wanted.items():
        signature = how.pop("signature", b"")
        path = make_clip(folder / f"{name}.mp4", size_px=(160, 120), **how)
        media = load_media(path, signature=signature)
        camera = ZooCamera({"": media}, sound=PcmuSilence() if name == "audio" else None)
        visitors[name] = Visitor(camera, folder / name)
    everyone = list(visitors.values())
    with CameraLoop([visitor.camera for visitor in everyone]), visits(everyone):
        began_s = CLOCK.monotonic_s()
        for visitor in everyone:
            eventually(lambda v=visitor: v.frames_since(began_s, 42), lambda: "frames")
    yield {
        name: (visitor, [visitor.tape.folder / row["path"] for row in visitor.tape.segments()])
        for name, visitor in visitors.items()
    }
    for visitor in everyone:
        visitor.tape.index.close()


def samples(path):
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(video=0) if p.size]


@pytest.mark.parametrize("name", ["h264", "hevc", "b-frames", "audio"])
def test_every_recorded_picture_can_be_looked_at_in_its_order(recorded, name):
    visitor, segments = recorded[name]
    (run,) = visitor.runs
    assert len(segments) >= 2
    shown = 0
    for path in segments:
        with av.open(str(path)) as container:
            frames = list(container.decode(video=0))
        times = [frame.pts * frame.time_base for frame in frames]
        assert {after - before for before, after in pairwise(times)} == {times[1] - times[0]}
        assert frames[0].key_frame
        assert frames[0].to_ndarray(format="gray").std() > 5
        shown += len(frames)
    assert shown == len(run.times)


def test_b_frames_keep_their_decoding_order(recorded):
    (run,) = recorded["b-frames"][0].runs
    assert all(after[0] > before[0] for before, after in pairwise(run.times))
    assert all(dts <= pts for dts, pts in run.times)
    assert any(after[1] < before[1] for before, after in pairwise(run.times))


@pytest.mark.parametrize("name", ["h264", "hevc"])
def test_what_the_camera_signed_is_kept_byte_for_byte(recorded, name):
    _, segments = recorded[name]
    sent = user_data_sei(SIGNATURE, "h264" if name == "h264" else "hevc")
    for path in segments:
        for sample in samples(path):
            kept = [nal for nal in split_sample(sample, 4) if USER_DATA_UUID in nal]
            assert kept == [sent]


def test_sound_is_neither_asked_for_nor_recorded(recorded):
    visitor, segments = recorded["audio"]
    assert visitor.camera.stream.audio_set_ups_total == 0
    for path in segments:
        with av.open(str(path)) as container:
            assert [stream.type for stream in container.streams] == ["video"]


def test_the_camera_does_offer_sound_and_the_recording_has_none_even_where_it_is_let_in(tmp_path):
    class Listener(Visitor):
        def _address(self):
            return StreamAddress(self.camera.url, *self.login, audio=True)

    media = load_media(make_clip(tmp_path / "clip.mp4", size_px=(160, 120)))
    visitor = Listener(ZooCamera({"": media}, sound=PcmuSilence()), tmp_path / "camera")
    with CameraLoop([visitor.camera]), visits([visitor]):
        eventually(lambda: visitor.frames_since(0.0, 12), lambda: "frames")
    assert visitor.camera.stream.audio_set_ups_total == 1
    (segment,) = visitor.tape.segments()
    with av.open(str(visitor.tape.folder / segment["path"])) as container:
        assert [stream.type for stream in container.streams] == ["video"]
    visitor.tape.index.close()
