"""(lat, lon, height, area) -> pan, tilt and zoom of one camera, or why it can't look there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agent.core.errors import CommandError
from agent.pointing.geodesy import Place, distance_m, enu_m
from agent.pointing.mount import Mount, Sighting, fit

NEAREST_M = 1.0


@dataclass(frozen=True, slots=True)
class Landmark:
    """A place that was centred in the picture, and what the camera reported then.

    `place.height_m` is the ground's, from which the height of targets near it is taken.
    """

    place: Place
    pan: float
    tilt: float


@dataclass(frozen=True, slots=True)
class Sector:
    """Reported positions the camera must not look at, both ends included."""

    pan_from: float
    pan_to: float
    tilt_from: float
    tilt_to: float

    def holds(self, pan: float, tilt: float) -> bool:
        """Return whether a position lies inside."""
        return self.pan_from <= pan <= self.pan_to and self.tilt_from <= tilt <= self.tilt_to


@dataclass(frozen=True, slots=True)
class Reach:
    """What the camera can do, in its own numbers; fields of view are horizontal, in degrees."""

    pan: tuple[float, float]
    tilt: tuple[float, float]
    zoom: tuple[float, float] = (0.0, 1.0)
    wide_deg: float = 60.0
    tele_deg: float = 3.0
    forbidden: tuple[Sector, ...] = ()


@dataclass(frozen=True, slots=True)
class Aim:
    """Where to turn; `fov_deg` is what the zoom shows, `range_m` how far the place is."""

    pan: float
    tilt: float
    zoom: float
    fov_deg: float
    range_m: float


@dataclass(frozen=True, slots=True)
class Pointing:
    """A calibrated camera: where it stands, how it hangs, and the ground around it."""

    eye: Place
    mount: Mount
    landmarks: tuple[Landmark, ...]

    def ground_m(self, place: Place) -> float:
        """Return the ground's height at a place, from the landmarks, the nearer the more."""
        weights = [1.0 / max(1.0, distance_m(place, mark.place)) ** 2 for mark in self.landmarks]
        heights = [mark.place.height_m for mark in self.landmarks]
        return sum(w * h for w, h in zip(weights, heights, strict=True)) / sum(weights)

    def aim(self, place: Place, area_m: float, reach: Reach, near_pan: float | None = None) -> Aim:
        """Return how to look at a place `area_m` wide.

        Raises `CommandError` aim.too_near, aim.out_of_reach or aim.forbidden.
        """
        toward = enu_m(place, self.eye)
        range_m = math.sqrt(sum(part * part for part in toward))
        if range_m < NEAREST_M:
            raise CommandError("aim.too_near", "The place is where the camera itself hangs.")
        pan, tilt = self.mount.position(toward, near_pan)
        if not (_within(pan, reach.pan) and _within(tilt, reach.tilt)):
            raise CommandError(
                "aim.out_of_reach",
                f"The camera can't turn there (pan {pan:.2f}, tilt {tilt:.2f} in its numbers).",
            )
        if any(sector.holds(pan, tilt) for sector in reach.forbidden):
            raise CommandError(
                "aim.forbidden",
                "The camera must not look there: the place lies in a forbidden sector.",
                hint="The sectors are in the camera's settings; the center may change them.",
            )
        fov_deg = math.degrees(2 * math.atan2(area_m / 2, range_m))
        fov_deg = max(reach.tele_deg, min(reach.wide_deg, fov_deg))
        return Aim(pan, tilt, _zoom(fov_deg, reach), fov_deg, range_m)


def calibrate(eye: Place, landmarks: Sequence[Landmark]) -> Pointing:
    """Return the calibrated camera. Raises `CommandError` aim.calibration."""
    sightings = [Sighting(mark.pan, mark.tilt, enu_m(mark.place, eye)) for mark in landmarks]
    try:
        return Pointing(eye, fit(sightings), tuple(landmarks))
    except ValueError as error:
        raise CommandError(
            "aim.calibration",
            f"The camera can't be calibrated: {error}.",
            hint="Centre four landmarks around the pole, at different distances.",
        ) from error


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]


def _zoom(fov_deg: float, reach: Reach) -> float:
    """Return the zoom for a field of view: each step of a zoom lens multiplies its focal length.

    That is the usual law, not the camera's promise; a wider picture than asked does no harm.
    """
    wide, tele = (math.tan(math.radians(f / 2)) for f in (reach.wide_deg, reach.tele_deg))
    if wide <= tele:
        return reach.zoom[0]
    share = math.log(wide / math.tan(math.radians(fov_deg / 2))) / math.log(wide / tele)
    low, high = reach.zoom
    return low + (high - low) * min(1.0, max(0.0, share))
