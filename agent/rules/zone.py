"""Points, zones and lines on the picture, in fractions of the frame."""

import math
from collections.abc import Sequence
from itertools import pairwise

from agent.contract.events import Region

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


def is_solid(region: Region) -> bool:
    """Say whether a region is a real rectangle: all its numbers finite, its area above nothing."""
    numbers = (region.x, region.y, region.width, region.height)
    return all(map(math.isfinite, numbers)) and region.width > 0 and region.height > 0
