"""Is a point in a zone? Polygons of frame fractions, as they are drawn on the camera picture."""

from collections.abc import Sequence
from itertools import pairwise

Point = tuple[float, float]


def contains(zone: Sequence[Point], point: Point) -> bool:
    """Say whether `point` lies inside the polygon `zone` (even-odd rule; it closes itself).

    A ray to the right crosses the outline an odd number of times from inside. Points exactly on
    the outline may fall to either side.
    """
    x, y = point
    inside = False
    for (ax, ay), (bx, by) in pairwise([*zone, zone[0]]):
        if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
            inside = not inside
    return inside
