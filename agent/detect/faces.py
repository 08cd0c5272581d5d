"""Finds faces in whole pictures, also small ones: for blurring them, never to know anybody.

The model looks at squares of 192 pixels. A picture is gone over once as a whole, for near faces,
and once in overlapping squares, for far ones. V. Bazarevsky et al., BlazeFace, CVPR Workshops 2019.
"""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from agent.contract.events import Region
from agent.detect.backends.tflite import TfliteBackend
from agent.detect.manifest import verified_file
from agent.messages.vision import Detection

FACE, MODEL = "face", "blazeface-full-range/1"
_FOLDER, _FILE = Path(__file__).parent / "face_model", "blazeface_full_range.tflite"
_SHA256 = "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3"
_SIDE_PX, _CELLS = 192, 48  # one anchor in the middle of each cell
_FAINTEST = 0.4  # better one blur too many
_SQUARE, _OVERLAP = 0.5, 0.25  # of the picture's height; of a square
_SAME = 0.3
_RAW_MOST = 80.0  # beyond it `exp` overflows, and all is certain anyway

Floats = NDArray[np.float32]


class FaceFinder:
    """One loaded model; one thread owns it. Raises `DetectorError` when it can't be loaded."""

    def __init__(self) -> None:
        self._backend = TfliteBackend(verified_file(_FOLDER, _FILE, _SHA256))
        self._reformatter = VideoReformatter()
        middles = (np.arange(_CELLS, dtype=np.float32) + 0.5) / _CELLS
        self._x, self._y = np.tile(middles, _CELLS), np.repeat(middles, _CELLS)

    def faces(self, frame: av.VideoFrame) -> list[Detection]:
        """Return the faces that are seen, the surest first."""
        found: list[Detection] = []
        for square_px, squares in self._looks(frame):
            for left, top, pixels in squares:
                for score, x, y, width, height in self._in_square(pixels):
                    region = Region(
                        (left + x * square_px) / frame.width,
                        (top + y * square_px) / frame.height,
                        width * square_px / frame.width,
                        height * square_px / frame.height,
                    )
                    found.append(Detection(FACE, score, region))
        found.sort(key=lambda one: -one.score)
        kept: list[Detection] = []
        for one in found:
            if all(_overlap(one.region, other.region) < _SAME for other in kept):
                kept.append(one)
        return kept

    def _looks(
        self, frame: av.VideoFrame
    ) -> Iterator[tuple[float, Iterator[tuple[float, float, Floats]]]]:
        """Yield (side of a square in pixels of the picture, its squares), coarse and fine."""
        yield max(frame.width, frame.height), self._squares(frame, max(frame.width, frame.height))
        fine_px = max(_SIDE_PX, round(frame.height * _SQUARE))
        if fine_px < max(frame.width, frame.height):
            yield fine_px, self._squares(frame, fine_px)

    def _squares(
        self, frame: av.VideoFrame, square_px: int
    ) -> Iterator[tuple[float, float, Floats]]:
        """Yield (left, top, what the model takes) of squares that cover all of the picture."""
        scale = _SIDE_PX / square_px
        width, height = (max(2, round(n * scale)) for n in (frame.width, frame.height))
        scaled = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb24",
            interpolation=Interpolation.AREA,
            threads=1,
        )
        plane = scaled.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(height, plane.line_size)
        picture = rows[:, : width * 3].reshape(height, width, 3)
        for top in _starts(height):
            for left in _starts(width):
                part = picture[top : top + _SIDE_PX, left : left + _SIDE_PX]
                square = np.zeros((_SIDE_PX, _SIDE_PX, 3), np.float32)
                square[: part.shape[0], : part.shape[1]] = part / np.float32(127.5) - 1.0
                yield left / scale, top / scale, square

    def _in_square(self, square: Floats) -> Iterator[tuple[float, float, float, float, float]]:
        """Yield (score, left, top, width, height) of each face, in fractions of the square."""
        boxes, scores = sorted(self._backend.invoke(square), key=lambda one: -one.shape[-1])
        raw = np.clip(scores[:, 0], -_RAW_MOST, _RAW_MOST)
        sure = 1.0 / (1.0 + np.exp(-raw))
        for number in np.flatnonzero(sure >= _FAINTEST):
            x, y, width, height = (float(n) / _SIDE_PX for n in boxes[number, :4])
            left, top = self._x[number] + x - width / 2, self._y[number] + y - height / 2
            yield float(sure[number]), float(left), float(top), width, height


def _starts(length_px: int) -> list[int]:
    """Return where squares begin that cover so many pixels, overlapping."""
    if length_px <= _SIDE_PX:
        return [0]
    room = length_px - _SIDE_PX
    count = -(-room // round(_SIDE_PX * (1 - _OVERLAP)))
    return [round(room * number / count) for number in range(count + 1)]


def _overlap(a: Region, b: Region) -> float:
    """Return the share of the smaller one that they have in common."""
    wide = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    high = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    both = max(0.0, wide) * max(0.0, high)
    return both / max(1e-9, min(a.width * a.height, b.width * b.height))
