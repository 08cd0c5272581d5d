"""Where somebody is, and will be: positions as they come, a route where one is known."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from agent.pointing.footprint import DETECT_PX_M, View, candidates
from agent.pointing.geodesy import Place, distance_m, enu_m, moved

WALKING_M_S = 1.4  # until two positions tell better
_FASTEST_M_S = 40.0
_STEPS = 8


class Course:
    """One moving place. Times are monotonic seconds."""

    def __init__(self, route: Sequence[Place] = ()) -> None:
        self._route = tuple(route)
        self._places: list[tuple[float, Place]] = []  # the last two

    @property
    def place(self) -> Place:
        """Where it was last."""
        return self._places[-1][1]

    def heard(self, at_s: float, place: Place) -> None:
        """Take a position."""
        if self._places and at_s <= self._places[-1][0]:
            self._places[-1] = self._places[-1][0], place
        else:
            self._places = [*self._places[-1:], (at_s, place)]

    def ahead(self, in_s: float) -> Place:
        """Return where it will be: along the route, else straight on."""
        east, north = self._velocity()
        speed = math.hypot(east, north)
        if self._route:
            return self._along(in_s * (speed or WALKING_M_S))
        return moved(self.place, east * in_s, north * in_s, self.place.height_m)

    def _velocity(self) -> tuple[float, float]:
        if len(self._places) < 2:
            return 0.0, 0.0
        (before_s, before), (now_s, now) = self._places
        east, north, _ = enu_m(now, before)
        lasted_s = now_s - before_s
        if math.hypot(east, north) > _FASTEST_M_S * lasted_s:  # a jump is an error of the position
            return 0.0, 0.0
        return east / lasted_s, north / lasted_s

    def _along(self, far_m: float) -> Place:
        """Return the point of the route so far behind the one nearest to where it is."""
        points = [enu_m(point, self.place)[:2] for point in self._route]
        best, leg_at, left_m = math.inf, 0, 0.0
        for number, (a, b) in enumerate(pairwise(points)):
            share = _foot(a, b)
            foot = a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share
            if math.hypot(*foot) < best:
                best, leg_at, left_m = math.hypot(*foot), number, math.dist(foot, b)
        here = self.place
        for number in range(leg_at, len(points) - 1):
            a, b = points[number], points[number + 1]
            long_m = math.dist(a, b)
            leg_m = left_m if number == leg_at else long_m
            if far_m <= leg_m and long_m > 0:
                share = 1 - (leg_m - far_m) / long_m
                east, north = a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share
                return moved(here, east, north, here.height_m)
            far_m -= leg_m
        return self._route[-1]


def _foot(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Return where on the way from a to b it is nearest to the origin, 0 to 1."""
    east, north = b[0] - a[0], b[1] - a[1]
    square = east * east + north * north
    return 0.0 if square == 0 else max(0.0, min(1.0, -(a[0] * east + a[1] * north) / square))


def wanted(
    views: Sequence[View], course: Course, radius_m: float, ahead_s: float, active: Iterable[str]
) -> dict[str, Place]:
    """Return which cameras a follower needs, and where each should look.

    The best one for where it is and for each place it will come to, in the order it comes there;
    of those that are `active`, also who still sees it.
    """
    found: dict[str, Place] = {}
    for step in range(_STEPS + 1):
        place = course.ahead(ahead_s * step / _STEPS)
        seen = candidates(views, place, radius_m, DETECT_PX_M)
        if seen:
            found.setdefault(seen[0].camera_id, place)
    sees_now = {one.camera_id for one in candidates(views, course.place, radius_m, DETECT_PX_M)}
    for camera_id in sees_now & set(active):
        found[camera_id] = course.place
    return found


def neighbours(views: Sequence[View], place: Place, radius_m: float) -> dict[str, Place]:
    """Return the cameras that come next after the one that sees `place` best, by its own list.

    Each looks to where somebody who comes from there comes into its reach.
    """
    return arrivals(views, place, nexts(views, place, radius_m))


def arrivals(views: Sequence[View], place: Place, names: Iterable[str]) -> dict[str, Place]:
    """Return where those of the named cameras look that are among these: towards `place`."""
    named = set(names)
    return {one.camera_id: _edge_towards(one, place) for one in views if one.camera_id in named}


def nexts(views: Sequence[View], place: Place, radius_m: float) -> tuple[str, ...]:
    """Return all names on the list of the camera that sees `place` best, other boxes' too."""
    seen = candidates(views, place, radius_m, DETECT_PX_M)
    by_id = {view.camera_id: view for view in views}
    return by_id[seen[0].camera_id].nexts if seen else ()


def _edge_towards(view: View, place: Place) -> Place:
    east, north, _ = enu_m(place, view.place)
    far_m = math.hypot(east, north)
    reach_m = min(view.most_m, view.range_m(DETECT_PX_M))
    if far_m <= reach_m:
        return place
    share = reach_m / far_m
    return moved(view.place, east * share, north * share, place.height_m)


def is_news(place: Place, before: Place | None, least_m: float) -> bool:
    """Say whether a camera should turn for it."""
    return before is None or distance_m(place, before) >= least_m
