"""What the box saw, drawn onto the picture: zones, lines, regions, names. On numpy alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import av
import numpy as np
from numpy.typing import NDArray

from agent.contract.events import Region
from agent.exam.lettering import mask_of

Rgb = tuple[int, int, int]
Picture = NDArray[np.uint8]

ZONE, TRACK, ALARM, TRUTH = (255, 210, 0), (60, 220, 80), (255, 40, 40), (70, 150, 255)
_PALETTE: tuple[Rgb, ...] = (
    (60, 220, 80), (70, 200, 255), (255, 150, 60), (220, 110, 255), (240, 240, 90), (255, 120, 150),
)  # fmt: skip


class Canvas:
    """One picture to draw on; places are fractions of it."""

    def __init__(self, frame: av.VideoFrame, thick: int = 0) -> None:
        """Copy the frame. `thick` is that of lines in pixels; 0: as fits its size."""
        self.picture: Picture = frame.to_ndarray(format="rgb24").astype(np.uint8)
        self._height, self._width = self.picture.shape[:2]
        self._thick = thick or max(1, round(self._height / 300))

    def region(self, region: Region, name: str, colour: Rgb) -> None:
        """Draw a box with its name above."""
        left, top = region.x, region.y
        right, bottom = left + region.width, top + region.height
        corners = ((left, top), (right, top), (right, bottom), (left, bottom))
        self.shape(corners, colour)
        y = max(0, round(top * self._height) - 9 * self._thick)
        self.text(name, (round(left * self._width), y), colour)

    def shape(
        self, points: Sequence[tuple[float, float]], colour: Rgb, *, closed: bool = True
    ) -> None:
        """Draw a polygon's outline, or an open line."""
        ends = [*points, points[0]] if closed else list(points)
        for begin, end in pairwise(ends):
            self._line(begin, end, colour)

    def text(self, text: str, at_px: tuple[int, int], colour: Rgb) -> None:
        """Write capital letters, figures and some signs on a dark ground."""
        if not text:
            return
        mask = mask_of(text, self._thick)
        left = min(max(0, at_px[0]), max(0, self._width - mask.shape[1]))
        top = min(max(0, at_px[1]), max(0, self._height - mask.shape[0]))
        ground = self.picture[top : top + mask.shape[0], left : left + mask.shape[1]]
        mask = mask[: ground.shape[0], : ground.shape[1]]
        ground //= 3
        ground[mask] = colour

    def caption(self, lines: Iterable[str], colour: Rgb = (255, 255, 255)) -> None:
        """Write lines into the top left corner."""
        for number, line in enumerate(lines):
            self.text(line, (2, 2 + number * 9 * self._thick), colour)

    def frame(self) -> av.VideoFrame:
        """Return the picture as a frame, its sides even as encoders want them."""
        height, width = self._height & ~1, self._width & ~1
        return av.VideoFrame.from_ndarray(
            np.ascontiguousarray(self.picture[:height, :width]), format="rgb24"
        )

    def _line(self, begin: tuple[float, float], end: tuple[float, float], colour: Rgb) -> None:
        scale = np.array([self._width - 1, self._height - 1])
        a, b = np.array(begin) * scale, np.array(end) * scale
        steps = int(np.abs(b - a).max()) + 1
        points = np.rint(np.linspace(a, b, steps)).astype(int)
        for dx in range(self._thick):
            for dy in range(self._thick):
                x = (points[:, 0] + dx).clip(0, self._width - 1)
                y = (points[:, 1] + dy).clip(0, self._height - 1)
                self.picture[y, x] = colour


def colour_of(track_id: int) -> Rgb:
    """Return a track's own colour."""
    return _PALETTE[track_id % len(_PALETTE)]
