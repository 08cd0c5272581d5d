"""Points, zones and lines on the picture, in fractions of the frame."""

import math
from collections.abc import Sequence
from itertools import pairwise

from agent.messages.vision import TrackedObject

Point = tuple[float, float]
_NEAR = 0.5


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


def is_solid(track: TrackedObject) -> bool:
    """Say whether a track's region is a real rectangle on or near the frame, its score a number."""
    region = track.region
    edges = (region.x, region.y, region.x + region.width, region.y + region.height)
    is_near = all(-_NEAR <= edge <= 1 + _NEAR for edge in edges)  # never so for what is no number
    return is_near and region.width > 0 and region.height > 0 and math.isfinite(track.score)
