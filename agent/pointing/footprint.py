"""Which cameras see a place, and how well: ground polygon, pixels per metre, a ranked answer."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from agent.pointing.geodesy import Place, bearing_deg, distance_m, moved

# Pixels per metre that a task takes: IEC 62676-4:2014, 6.7.
DETECT_PX_M, OBSERVE_PX_M, RECOGNISE_PX_M, IDENTIFY_PX_M = 25.0, 62.0, 125.0, 250.0
TURN_S_PER_DEG = 1 / 60.0  # a slow dome; the camera's own speed is rarely told truly
_ARC_STEPS = 12


@dataclass(frozen=True, slots=True)
class View:
    """Where a camera stands and looks just now. A PTZ camera can turn anywhere in its reach.

    Beyond `most_m` over ground it is not asked, however far its zoom reaches. `nexts` are the
    cameras that somebody who leaves its view comes to.
    """

    camera_id: str
    place: Place
    azimuth_deg: float
    fov_deg: float
    width_px: int
    height_above_ground_m: float = 5.0
    has_ptz: bool = False
    tele_deg: float | None = None
    is_busy: bool = False
    most_m: float = math.inf
    nexts: tuple[str, ...] = ()

    def pixels_per_m(self, range_m: float, fov_deg: float | None = None) -> float:
        """Return how many pixels a metre has across the picture, so far away."""
        fov = math.radians(self.fov_deg if fov_deg is None else fov_deg)
        return self.width_px / (2 * max(range_m, 0.1) * math.tan(fov / 2))

    def range_m(self, pixels_per_m: float) -> float:
        """Return how far away a metre still has so many pixels."""
        return self.width_px / (2 * pixels_per_m * math.tan(math.radians(self.fov_deg) / 2))

    def ground_polygon(self, pixels_per_m: float = OBSERVE_PX_M) -> tuple[Place, ...]:
        """Return the ground this view covers at that quality: the pole's foot and an arc."""
        reach_m = self._over_ground_m(self.range_m(pixels_per_m))
        foot_m = self.place.height_m - self.height_above_ground_m
        foot = Place(self.place.lat_deg, self.place.lon_deg, foot_m)
        begin = self.azimuth_deg - self.fov_deg / 2
        arc = []
        for step in range(_ARC_STEPS + 1):
            angle = math.radians(begin + self.fov_deg * step / _ARC_STEPS)
            arc.append(moved(foot, reach_m * math.sin(angle), reach_m * math.cos(angle), foot_m))
        return (foot, *arc)

    def _over_ground_m(self, range_m: float) -> float:
        return math.sqrt(max(0.0, range_m**2 - self.height_above_ground_m**2))


@dataclass(frozen=True, slots=True)
class Candidate:
    """How well one camera could see a place. `aim_s`: until it looks there; 0: it does already."""

    camera_id: str
    distance_m: float
    bearing_deg: float
    pixels_per_m: float
    aim_s: float
    is_busy: bool


def candidates(
    views: Iterable[View], place: Place, radius_m: float = 0.0, least_px_m: float = DETECT_PX_M
) -> list[Candidate]:
    """Return the cameras that see `place`, or can turn there, the best first.

    Within `radius_m` of it counts as seeing it. Free before busy, ready before turning, then by
    pixels per metre.
    """
    found = [c for view in views if (c := _judged(view, place, radius_m)) is not None]
    found = [candidate for candidate in found if candidate.pixels_per_m >= least_px_m]
    return sorted(found, key=lambda c: (c.is_busy, c.aim_s > 0, -c.pixels_per_m, c.camera_id))


def _judged(view: View, place: Place, radius_m: float) -> Candidate | None:
    ground_m = distance_m(place, view.place)
    if ground_m - radius_m > view.most_m:
        return None
    range_m = math.hypot(ground_m, view.height_above_ground_m)
    bearing = bearing_deg(place, view.place)
    off_deg = abs((bearing - view.azimuth_deg + 180) % 360 - 180)
    # a circle around the place is in view when its edge is
    slack_deg = 180.0 if ground_m <= radius_m else math.degrees(math.asin(radius_m / ground_m))
    is_in_view = off_deg - slack_deg <= view.fov_deg / 2
    if not is_in_view and not view.has_ptz:
        return None
    fov_deg = view.fov_deg
    if view.has_ptz and view.tele_deg is not None:
        wanted_deg = math.degrees(2 * math.atan2(max(radius_m, 10.0), range_m))
        fov_deg = max(view.tele_deg, min(view.fov_deg, wanted_deg))
    return Candidate(
        camera_id=view.camera_id,
        distance_m=round(ground_m, 1),
        bearing_deg=round(bearing, 1),
        pixels_per_m=round(view.pixels_per_m(range_m, fov_deg), 1),
        aim_s=0.0 if is_in_view else round(off_deg * TURN_S_PER_DEG, 2),
        is_busy=view.is_busy,
    )
