"""From the picture to the ground: a homography from landmarks, or the scale of a top view.

Least squares over all landmarks (direct linear transform, Hartley and Zisserman, "Multiple View
Geometry", 4.1). Only for what stands on that plane, such as foot points.
"""

import numpy as np
from numpy.typing import NDArray

from agent.rules.zone import Point
from agent.settings.rules import Calibration
from agent.settings.shapes import area

_HORIZON = 1e-9


class Ground:
    """Where a place of the picture lies on the ground, in metres."""

    def __init__(self, calibration: Calibration) -> None:
        if calibration.size_m is not None:
            self._matrix = np.diag([*calibration.size_m, 1.0])
        else:
            marks = calibration.landmarks
            self._matrix = _homography([m.at for m in marks], [m.ground_m for m in marks])

    def metres(self, point: Point) -> Point | None:
        """Return the place on the ground; None for one at or above the horizon."""
        x, y, scale = (float(value) for value in self._matrix @ (point[0], point[1], 1.0))
        return None if scale <= _HORIZON else (x / scale, y / scale)

    def area_m2(self, zone: tuple[Point, ...]) -> float | None:
        """Return a polygon's area on the ground; None when a corner is not on the ground."""
        corners = [self.metres(point) for point in zone]
        on_ground = [corner for corner in corners if corner is not None]
        return area(on_ground) if len(on_ground) == len(corners) else None


def _homography(picture: list[Point], ground: list[Point]) -> NDArray[np.float64]:
    """Solve for the matrix that brings each picture point to its ground point."""
    origin = np.mean(ground, axis=0)
    spread = float(np.abs(np.array(ground) - origin).max())
    rows = []
    for (x, y), point in zip(picture, ground, strict=True):
        u, v = (np.array(point) - origin) / spread
        rows += [
            [x, y, 1, 0, 0, 0, -u * x, -u * y, -u],
            [0, 0, 0, x, y, 1, -v * x, -v * y, -v],
        ]
    matrix = np.linalg.svd(np.array(rows, float))[2][-1].reshape(3, 3)
    if matrix[2] @ (*np.mean(picture, axis=0), 1.0) < 0:  # the landmarks are below the horizon
        matrix = -matrix
    back = np.array([[spread, 0, origin[0]], [0, spread, origin[1]], [0, 0, 1.0]])
    result: NDArray[np.float64] = back @ matrix
    return result
