"""The motion step of a widely used recorder, written anew from its published description.

What it does to each frame: shrink to 100 rows, stretch the contrast between the 4th and the 96th
percentile (smoothed over 50 frames), blur, compare with a running average, threshold, dilate, find
contours; the average follows only after motion has lasted for ten frames. OpenCV and scipy.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Picture = NDArray[np.uint8]

_ROWS = 100
_HISTORY = 50
_THRESHOLD, _LEAST_AREA = 30, 10
_ALPHA, _ALPHA_CALIBRATING = 0.01, 0.2
_PATIENCE = 10
_LIGHTNING = 0.8


class ContourMotion:
    """Motion of one camera; `update` takes the Y plane."""

    def __init__(self, rows: int, columns: int) -> None:
        self._factor = rows / _ROWS
        self._size = _ROWS * columns // rows, _ROWS
        self._average = np.zeros((_ROWS, self._size[0]), np.float32)
        self._contrast = np.zeros((_HISTORY, 2), np.uint8)
        self._contrast[:, 1] = 255
        self._frames = self._moving = 0
        self._calibrating = True

    def update(self, luma: Picture) -> list[tuple[int, int, int, int]]:
        """Return the boxes (left, top, right, bottom in pixels of `luma`) that moved."""
        small = cv2.resize(luma, self._size, interpolation=cv2.INTER_NEAREST)
        small = gaussian_filter(self._stretched(small), sigma=1, radius=1)
        change = cv2.absdiff(small, cv2.convertScaleAbs(self._average))
        moved = cv2.threshold(change, _THRESHOLD, 255, cv2.THRESH_BINARY)[1]
        moved = cv2.dilate(moved, None, iterations=1)
        contours, _ = cv2.findContours(moved, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        areas = [cv2.contourArea(contour) for contour in contours]
        boxes = [
            self._box(contour)
            for contour, area in zip(contours, areas, strict=True)
            if area > _LEAST_AREA
        ]
        self._follow(small, sum(areas) / small.size, len(boxes))
        return boxes

    def _stretched(self, small: Picture) -> Picture:
        low = np.percentile(small, 4).astype(np.uint8)
        high = np.percentile(small, 96).astype(np.uint8)
        if low >= high:
            return small
        self._contrast[self._frames % _HISTORY] = low, high
        self._frames += 1
        low, high = np.mean(self._contrast, axis=0)
        clipped = np.clip(small, low, high)
        stretched: Picture = ((clipped - low) / (high - low) * 255).astype(np.uint8)
        return stretched

    def _box(self, contour: NDArray[np.int32]) -> tuple[int, int, int, int]:
        left, top, width, height = cv2.boundingRect(contour)
        edges = (left, top, left + width, top + height)
        return tuple(int(edge * self._factor) for edge in edges)  # type: ignore[return-value]

    def _follow(self, small: Picture, share: float, boxes: int) -> None:
        if share < 0.05 and boxes <= 4:
            self._calibrating = False
        if self._calibrating or share > _LIGHTNING:
            self._calibrating = True
        alpha = _ALPHA_CALIBRATING if self._calibrating else _ALPHA
        if not boxes:
            self._moving = 0
            cv2.accumulateWeighted(small, self._average, alpha)
            return
        self._moving += 1
        if self._moving >= _PATIENCE:
            cv2.accumulateWeighted(small, self._average, alpha)
