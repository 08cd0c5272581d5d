"""Blackens what the box must not look at in a decoded frame, before anything else sees it.

Camera worker, the sub stream's thread. The recording is not touched: nothing is encoded anew.
"""

import av
import numpy as np
from numpy.typing import NDArray

from agent.settings.shapes import Point

_BLACK, _NO_COLOUR = 16, 128
Covered = NDArray[np.bool_]


class PictureMask:
    """The polygons (fractions of the picture) of one camera; none of them costs nothing."""

    def __init__(self, polygons: tuple[tuple[Point, ...], ...]) -> None:
        self._polygons = polygons
        self._covered: dict[tuple[int, int], Covered] = {}

    def over(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return `frame`, or a masked copy: the decoder may still need the one it gave."""
        if not self._polygons:
            return frame
        copy = av.VideoFrame(frame.width, frame.height, frame.format.name)
        for number, (plane, target) in enumerate(zip(frame.planes, copy.planes, strict=True)):
            old = np.frombuffer(memoryview(plane), np.uint8)
            rows = old.reshape(plane.height, plane.line_size)[:, : plane.width].copy()
            rows[self._cover(plane.width, plane.height)] = _NO_COLOUR if number else _BLACK
            new = np.frombuffer(memoryview(target), np.uint8)
            new.reshape(target.height, target.line_size)[:, : target.width] = rows
        return copy

    def _cover(self, width_px: int, height_px: int) -> Covered:
        size = (width_px, height_px)
        if size not in self._covered:
            covered = np.zeros((height_px, width_px), np.bool_)
            for polygon in self._polygons:
                covered |= _inside(polygon, width_px, height_px)
            self._covered[size] = covered
        return self._covered[size]


def _inside(polygon: tuple[Point, ...], width_px: int, height_px: int) -> Covered:
    """Say of each pixel's middle whether it lies inside (even-odd rule)."""
    x = (np.arange(width_px) + 0.5) / width_px
    y = ((np.arange(height_px) + 0.5) / height_px)[:, None]
    inside = np.zeros((height_px, width_px), np.bool_)
    for (ax, ay), (bx, by) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        if ay == by:
            continue
        crosses = (ay > y) != (by > y)
        inside ^= crosses & (x < ax + (y - ay) * (bx - ax) / (by - ay))
    return inside
