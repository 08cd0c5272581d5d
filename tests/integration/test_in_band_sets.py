"""A camera whose description tells of another video: what is recorded can be shown all the same."""

from dataclasses import replace

import av
import pytest

from agent.core.clock import SystemClock
from agent.simulators.camera.media import load_media
from tests.camera_thread import CameraThread, Watcher, eventually
from tests.footage_maker import make_clip
from tests.recording import Tape

SIZES = {"now": (160, 120), "before": (320, 240)}


class Recording:
    """A sink that records a run."""

    def __init__(self, folder):
        self.tape = Tape(folder, SystemClock())
        self.size_px, self.frames = None, 0

    def run_started(self, stream, facts):
        self.size_px = facts.width_px, facts.height_px
        self.tape.recorder.run_started(stream, facts.codec, self.size_px)

    def packet(self, packet, arrived_mono_s):
        self.tape.recorder.packet(packet, arrived_mono_s)
        self.frames += 1

    def run_ended(self, cause):
        self.tape.recorder.run_ended(cause)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_the_sample_entry_holds_the_sets_that_came_with_the_video(tmp_path, codec):
    media = {
        name: load_media(make_clip(tmp_path / f"{name}.mp4", codec=codec, size_px=size_px))
        for name, size_px in SIZES.items()
    }
    lying = replace(media["now"], parameter_sets=media["before"].parameter_sets)
    sink = Recording(tmp_path / "camera")
    with CameraThread(lying) as camera, Watcher(camera.url, sink):
        eventually(lambda: sink.frames > 15)
    assert sink.size_px == SIZES["now"]
    for path in sink.tape.video_files():
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.width, stream.height) == SIZES["now"]
            box = bytes(stream.codec_context.extradata)
            wanted, wrong = (media[name].parameter_sets.sps[0] for name in ("now", "before"))
            assert wanted in box
            assert wrong not in box
            assert all((f.width, f.height) == SIZES["now"] for f in container.decode(video=0))
    sink.tape.index.close()
