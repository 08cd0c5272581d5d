"""Places on the earth as metres east, north and up of another place (WGS 84).

Through earth-centred coordinates, so it holds at any distance. Formulas: NIMA TR8350.2, section 4.
"""

import math
from dataclasses import dataclass

_A_M = 6_378_137.0  # semi-major axis
_F = 1 / 298.257223563  # flattening
_E2 = _F * (2 - _F)

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Place:
    """A place: degrees, and metres above the ellipsoid (or any one height for all places)."""

    lat_deg: float
    lon_deg: float
    height_m: float = 0.0


def enu_m(place: Place, origin: Place) -> Vector:
    """Return `place` as metres (east, north, up) of `origin`."""
    x, y, z = (a - b for a, b in zip(_ecef_m(place), _ecef_m(origin), strict=True))
    lat, lon = math.radians(origin.lat_deg), math.radians(origin.lon_deg)
    sin_lat, cos_lat, sin_lon, cos_lon = (
        math.sin(lat),
        math.cos(lat),
        math.sin(lon),
        math.cos(lon),
    )
    return (
        -sin_lon * x + cos_lon * y,
        -sin_lat * cos_lon * x - sin_lat * sin_lon * y + cos_lat * z,
        cos_lat * cos_lon * x + cos_lat * sin_lon * y + sin_lat * z,
    )


def moved(origin: Place, east_m: float, north_m: float, height_m: float) -> Place:
    """Return the place so many metres away, good to a millimetre within some kilometres."""
    lat = math.radians(origin.lat_deg)
    w = math.sqrt(1 - _E2 * math.sin(lat) ** 2)
    north_radius_m = _A_M * (1 - _E2) / w**3 + origin.height_m
    east_radius_m = (_A_M / w + origin.height_m) * math.cos(lat)
    return Place(
        origin.lat_deg + math.degrees(north_m / north_radius_m),
        origin.lon_deg + math.degrees(east_m / east_radius_m),
        height_m,
    )


def distance_m(place: Place, other: Place) -> float:
    """Return the distance over ground, heights left out."""
    east, north, _ = enu_m(place, other)
    return math.hypot(east, north)


def bearing_deg(place: Place, origin: Place) -> float:
    """Return the direction from `origin` to `place`, clockwise from north, 0 to 360."""
    east, north, _ = enu_m(place, origin)
    return math.degrees(math.atan2(east, north)) % 360.0


def _ecef_m(place: Place) -> Vector:
    lat, lon = math.radians(place.lat_deg), math.radians(place.lon_deg)
    n = _A_M / math.sqrt(1 - _E2 * math.sin(lat) ** 2)
    around = (n + place.height_m) * math.cos(lat)
    return (
        around * math.cos(lon),
        around * math.sin(lon),
        (n * (1 - _E2) + place.height_m) * math.sin(lat),
    )
