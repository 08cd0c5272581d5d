"""A frame keeps its shape on the way to the detector, whatever its size and format."""

import av
import numpy as np
import pytest

from agent.detect.letterbox import FrameScaler, content_size
from agent.detect.manifest import load_manifest

SPEC = load_manifest().input


@pytest.mark.parametrize(
    ("source", "content"),
    [
        pytest.param((640, 480), (341, 256), id="4:3 fills the height"),
        pytest.param((640, 360), (416, 234), id="16:9 fills the width"),
        pytest.param((1920, 1080), (416, 234), id="main stream"),
        pytest.param((416, 256), (416, 256), id="as it is"),
        pytest.param((10, 4000), (1, 256), id="absurdly narrow"),
    ],
)
def test_content_keeps_the_aspect_ratio_and_fits(source, content):
    assert content_size(*source, SPEC) == content


@pytest.mark.parametrize("source", [(640, 480), (640, 360), (353, 289), (416, 256)])
def test_the_picture_is_top_left_and_the_rest_is_grey(source):
    width_px, height_px = source
    frame = av.VideoFrame.from_ndarray(
        np.full((height_px, width_px, 3), (200, 30, 60), np.uint8), format="rgb24"
    ).reformat(format="yuv420p")
    made = FrameScaler(SPEC).to_detector_input(frame)
    assert made.image.shape == (256, 416, 3)
    assert made.image.flags.c_contiguous
    content = made.image[: made.content_height_px, : made.content_width_px].astype(int)
    assert np.abs(content - (200, 30, 60)).max() <= 6  # rounding of YUV
    assert (made.image[made.content_height_px :] == 114).all()
    assert (made.image[:, made.content_width_px :] == 114).all()
