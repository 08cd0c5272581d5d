"""Whoever stands beside the target is covered all the same."""

from fractions import Fraction

import av
import numpy as np
import pytest

from agent.clips.masking import Found, Wanted, mask_clip
from agent.contract.events import Region
from agent.core.errors import StorageError

TARGET, BESIDE = Region(0.30, 0.2, 0.30, 0.7), Region(0.42, 0.2, 0.30, 0.7)  # IoU 0.43
WIDTH, HEIGHT = 320, 180


@pytest.fixture
def clip(tmp_path):
    """Half a second of noise: whatever is blurred shows."""
    path, noise = tmp_path / "clear.mp4", np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(5):
            points = noise.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(points, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def spread(path, left, right):
    """How much the points of a strip of the last picture differ from each other."""
    with av.open(str(path)) as container:
        *_, last = container.decode(video=0)
        gray = last.to_ndarray(format="gray").astype(float)
    strip = gray[int(0.3 * HEIGHT) : int(0.8 * HEIGHT), int(left * WIDTH) : int(right * WIDTH)]
    return float(np.abs(np.diff(strip, axis=1)).mean())


@pytest.mark.parametrize("beside", [2, None])  # with a track of his own, and not followed yet
def test_who_walks_beside_the_target_is_no_target(clip, tmp_path, beside):
    out = tmp_path / "masked.mp4"

    def find(*_):
        return [Found(TARGET, 1), Found(BESIDE, beside), Found(TARGET)]

    wanted = Wanted(target=(0.2, 0.32, 0.5))
    ledger = mask_clip(clip, out, wanted, find, lambda _: "")
    assert ledger.target_frames == 5
    assert [one.track_id for one in ledger.tracks] == ([2] if beside else [])
    assert spread(out, 0.61, 0.71) < 0.3 * spread(clip, 0.61, 0.71)
    assert spread(out, 0.31, 0.36) > 0.5 * spread(clip, 0.31, 0.36)


def test_a_face_is_covered_though_nobody_is_found_around_it(clip, tmp_path):
    out = tmp_path / "masked.mp4"
    ledger = mask_clip(
        clip, out, Wanted(), lambda *_: [Found(Region(0.6, 0.4, 0.2, 0.3), 3, is_face=True)], str
    )
    assert (ledger.faces, ledger.regions) == (5, 5)
    assert [(one.what, one.looks) for one in ledger.tracks] == [("face", 5)]
    assert spread(out, 0.65, 0.75) < 0.3 * spread(clip, 0.65, 0.75)
    assert spread(out, 0.1, 0.4) > 0.5 * spread(clip, 0.1, 0.4)


def test_the_targets_own_face_stays_and_one_beside_it_does_not(clip, tmp_path):
    out = tmp_path / "masked.mp4"
    own, other = Region(0.40, 0.24, 0.1, 0.12), Region(0.35, 0.50, 0.1, 0.12)

    def find(*_):
        faces = [Found(other, 1, is_face=True), Found(own, 2, is_face=True)]
        return [Found(TARGET, 1), *faces, Found(own, is_face=True)]

    ledger = mask_clip(clip, out, Wanted(target=(0.2, 0.32, 0.5)), find, str)
    assert (ledger.target_frames, ledger.faces) == (5, 5)
    assert [(one.what, one.track_id) for one in ledger.tracks] == [("face", 1)]


def test_a_look_that_fails_leaves_no_torn_file(clip, tmp_path):
    out = tmp_path / "masked.mp4"

    def find(*_):
        raise ValueError("odd picture")

    with pytest.raises(StorageError) as caught:
        mask_clip(clip, out, Wanted(), find, lambda _: "")
    assert caught.value.code == "clip.not_masked"
    assert not out.exists()
