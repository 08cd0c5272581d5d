"""From the picture to the ground: a homography from landmarks, or the scale of a top view.

Least squares over all landmarks (direct linear transform, Hartley and Zisserman, "Multiple View
Geometry", 4.1). Only for what stands on that plane, such as foot points.
"""

import math

import numpy as np
from numpy.typing import NDArray

from agent.contract.events import Region
from agent.rules.zone import Point
from agent.settings.rules import Calibration
from agent.settings.shapes import area

_HORIZON = 1e-9
_STEP = 0.005  # of the picture's width
_TALLEST_M = 12.0
_LEAST_TILT = 1e-6

Matrix = NDArray[np.float64]


class Ground:
    """Where a place of the picture lies on the ground, in metres."""

    def __init__(self, calibration: Calibration) -> None:
        if calibration.size_m is not None:
            self._matrix = np.diag([*calibration.size_m, 1.0])
        else:
            marks = calibration.landmarks
            self._matrix = _homography([m.at for m in marks], [m.ground_m for m in marks])
        self._cameras: dict[float, Matrix | None] = {}

    def metres(self, point: Point) -> Point | None:
        """Return the place on the ground; None for one at or above the horizon."""
        x, y, scale = (float(value) for value in self._matrix @ (point[0], point[1], 1.0))
        return None if scale <= _HORIZON else (x / scale, y / scale)

    def area_m2(self, zone: tuple[Point, ...]) -> float | None:
        """Return a polygon's area on the ground; None when a corner is not on the ground."""
        corners = [self.metres(point) for point in zone]
        on_ground = [corner for corner in corners if corner is not None]
        return area(on_ground) if len(on_ground) == len(corners) else None

    def horizon(self) -> tuple[Point, Point] | None:
        """Return the horizon at the picture's left and right edge; None: seen from above."""
        a, b, c = (float(value) for value in self._matrix[2])
        if abs(b) <= _HORIZON:
            return None
        return (0.0, -c / b), (1.0, -(a + c) / b)

    def px_per_m(self, point: Point, width_px: int) -> float | None:
        """Return how many pixels across a metre takes at a place; None where there is no ground."""
        left, right = (
            self.metres((point[0] - _STEP, point[1])),
            self.metres((point[0] + _STEP, point[1])),
        )
        if left is None or right is None:
            return None
        apart_m = math.dist(left, right)
        return 2 * _STEP * width_px / apart_m if apart_m > 0 else None

    def height_m(self, region: Region, aspect: float) -> float | None:
        """Return about how tall is what stands upright there; None where that can't be told.

        `aspect` is the picture's width by its height. The homography gives the whole camera when
        its pixels are square and its middle looks ahead (Hartley and Zisserman, 8.8); seen from
        straight above nothing has a height. A stream squeezed to another shape makes it wrong.
        """
        if aspect not in self._cameras:
            self._cameras[aspect] = _camera(self._matrix, aspect)
        camera = self._cameras[aspect]
        foot = self.metres((region.x + region.width / 2, region.y + region.height))
        if camera is None or foot is None:
            return None
        at_foot, up = camera[:, [0, 1, 3]] @ (*foot, 1.0), camera[:, 2]
        top = region.y - 0.5
        along = top * up[2] - up[1]
        height = (at_foot[1] - top * at_foot[2]) / along if abs(along) > _HORIZON else math.inf
        return float(height) if 0 < height < _TALLEST_M else None


def _homography(picture: list[Point], ground: list[Point]) -> Matrix:
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
    result: Matrix = back @ matrix
    return result


def _camera(to_ground: Matrix, aspect: float) -> Matrix | None:
    """Return the 3x4 matrix from (east, north, up, 1) to the picture's middle, or None.

    Its one unknown, the focal length, follows from the ground's axes: both are as long, and they
    stand upright on each other. Picture heights are the unit.
    """
    shift = np.array([[aspect, 0, -aspect / 2], [0, 1, -0.5], [0, 0, 1.0]])
    try:
        axes = shift @ np.linalg.inv(to_ground)
    except np.linalg.LinAlgError:
        return None
    axes /= np.linalg.norm(axes[:, 0])
    east, north, _ = axes.T
    flat = np.array([east[:2] @ north[:2], east[:2] @ east[:2] - north[:2] @ north[:2]])
    deep = np.array([east[2] * north[2], east[2] ** 2 - north[2] ** 2])
    if deep @ deep < _LEAST_TILT or not -(flat @ deep) > 0:
        return None  # from above: any focal length would do
    focal = math.sqrt(-(flat @ flat) / (flat @ deep))
    turned = axes / [[focal], [focal], [1.0]]
    turned /= np.linalg.norm(turned[:, 0])
    up = np.cross(turned[:, 0], turned[:, 1])
    if turned[:, 2] @ up > 0:  # the camera hangs above the ground, whichever way its axes turn
        up = -up
    whole: Matrix = np.column_stack([turned[:, 0], turned[:, 1], up, turned[:, 2]])
    return whole * [[focal], [focal], [1.0]]
