"""Is what was drawn on the picture a shape that a rule can use? Says plainly what is wrong."""

from collections.abc import Sequence
from itertools import combinations, pairwise

Point = tuple[float, float]

_LEAST_AREA = 1e-5  # of the frame: six pixels of a 640x480 picture
_LEAST_LENGTH = 0.01


def check_zone(zone: Sequence[Point]) -> None:
    """Raise `ValueError` when a polygon crosses itself or encloses nothing."""
    sides = list(pairwise([*zone, zone[0]]))
    for (m, one), (n, other) in combinations(enumerate(sides, 1), 2):
        if crosses(*one, *other):
            raise ValueError(f"the zone crosses itself: side {m} cuts side {n}; order its corners")
    if area(zone) < _LEAST_AREA:
        raise ValueError("the zone encloses nothing: its corners lie on one line")


def check_line(line: tuple[Point, Point]) -> None:
    """Raise `ValueError` when the two ends of a line are the same place."""
    (ax, ay), (bx, by) = line
    if abs(bx - ax) + abs(by - ay) < _LEAST_LENGTH:
        raise ValueError("the line's two ends lie at the same place")


def area(zone: Sequence[Point]) -> float:
    """Return a polygon's area, in the square of its own unit."""
    return abs(sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairwise([*zone, zone[0]]))) / 2


def crosses(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Say whether the segments a-b and c-d cut each other in their insides."""
    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def side(a: Point, b: Point, point: Point) -> float:
    """Return > 0 when `point` lies to the right of one who looks from a to b (y goes down)."""
    return (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])
