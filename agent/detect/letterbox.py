"""From a camera frame to the detector's input: scaled with its aspect ratio, padded with grey.

Keeping the aspect ratio is worth 3 to 5 points of average precision. Runs in the camera worker;
libav scales (GIL released; area averaging is worth 2 to 3 points over fast bilinear for 0.2 ms),
numpy only places the rows.
"""

from dataclasses import dataclass

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from agent.detect.manifest import InputSpec


@dataclass(frozen=True, slots=True)
class Letterboxed:
    """A detector input; only the top left `content_*` pixels of `image` are picture."""

    image: NDArray[np.uint8]
    content_width_px: int
    content_height_px: int


def content_size(source_width_px: int, source_height_px: int, spec: InputSpec) -> tuple[int, int]:
    """Return width and height of the largest picture of the source's shape that fits the input."""
    scale = min(spec.width_px / source_width_px, spec.height_px / source_height_px)
    return (
        max(1, min(spec.width_px, round(source_width_px * scale))),
        max(1, min(spec.height_px, round(source_height_px * scale))),
    )


class FrameScaler:
    """Makes detector inputs of decoded frames. Keeps libav's scalers: one thread owns it."""

    def __init__(
        self, *specs: InputSpec, interpolation: Interpolation = Interpolation.AREA
    ) -> None:
        """Of several `specs` each frame gets the one that it fits into with the least padding."""
        self._specs, self._interpolation = specs, interpolation
        self._reformatter, self._packed = VideoReformatter(), RgbMaker()

    def to_detector_input(self, frame: av.VideoFrame) -> Letterboxed:
        """Scale and pad one frame of any size and pixel format.

        By planes of red, green and blue, packed only then: scaling to packed RGB takes three times
        that where the width is odd, as of every 4:3 picture.
        """
        spec = max(self._specs, key=lambda one: one.filled_by(frame.width, frame.height))
        width_px, height_px = content_size(frame.width, frame.height, spec)
        scaled = self._reformatter.reformat(
            frame,
            width=width_px,
            height=height_px,
            format="gbrp",
            interpolation=self._interpolation,
            threads=1,  # libav would start its own scaler threads otherwise
        )
        canvas = np.empty(spec.shape, np.uint8)
        canvas[:height_px, :width_px] = self._packed.picture(scaled)
        canvas[height_px:] = spec.padding_grey
        canvas[:height_px, width_px:] = spec.padding_grey
        return Letterboxed(canvas, width_px, height_px)


class RgbMaker:
    """Makes RGB pictures of whole frames. One thread owns it.

    What `VideoFrame.to_ndarray` gives, for a third of its cost: that one starts threads of its own.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def picture(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """Return the frame (rows, columns, 3); it is only good while nobody writes into it."""
        return _rgb_view(self._reformatter.reformat(frame, format="rgb24", threads=1))


def _rgb_view(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Look at a packed RGB frame without copying; libav pads the rows."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(frame.height, plane.line_size)
    return rows[:, : frame.width * 3].reshape(frame.height, frame.width, 3)
