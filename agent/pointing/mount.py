"""How a PTZ camera hangs: which pan and tilt look at which direction of the world.

Poles lean, so the mount is a full rotation (yaw and lean). A camera that reports -1..1 and not
degrees needs scale and offset as well. Several models are fitted to the same landmarks; the one
with the smallest residual for its freedom is taken.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from agent.pointing.fitting import least_squares
from agent.pointing.geodesy import Vector

FEWEST_LANDMARKS = 3
MOST_RESIDUAL_DEG = 5.0  # beyond this a landmark was mistaken for another
MAP_ERROR_M, CENTRING_DEG = 1.0, 0.2  # what a careful technician with a map reaches
_NORMALISED = 1.2  # positions that never leave -1..1, or hardly, may be shares of the range
_EQUATIONS_TO_SCALE = 12  # six landmarks: fewer can't tell a scale from a lean
_TRIED_FURTHER = 6


@dataclass(frozen=True, slots=True)
class Sighting:
    """The camera looks at a landmark: what it reports, and the direction in east, north, up."""

    pan: float
    tilt: float
    toward: Vector


@dataclass(frozen=True, slots=True)
class Axes:
    """From reported numbers to degrees; pan's zero lies in the mount's yaw."""

    pan_scale_deg: float = 1.0
    tilt_scale_deg: float = 1.0
    tilt_offset_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class Mount:
    """A fitted mount. `residual_deg`: root mean square over the landmarks, each `errors_deg`."""

    model: str
    axes: Axes
    yaw_deg: float
    lean_east_deg: float
    lean_north_deg: float
    residual_deg: float
    errors_deg: tuple[float, ...] = ()

    def toward(self, pan: float, tilt: float) -> Vector:
        """Return the direction (east, north, up) that a reported position looks at."""
        return _toward(self, pan, tilt)

    def position(self, toward: Vector, near_pan: float | None = None) -> tuple[float, float]:
        """Return the (pan, tilt) that looks at a direction, as this camera reports them.

        Pan is taken nearest to `near_pan`, else to the middle of the camera's range.
        """
        x, y, z = _leaned(toward, -self.lean_east_deg, -self.lean_north_deg, back=True)
        length = math.sqrt(x * x + y * y + z * z)
        pan_deg = math.degrees(math.atan2(x, y)) - self.yaw_deg
        tilt_deg = math.degrees(math.asin(max(-1.0, min(1.0, z / length))))
        middle_deg = 0.0 if near_pan is None else near_pan * self.axes.pan_scale_deg
        pan_deg += 360.0 * round((middle_deg - pan_deg) / 360.0)
        return (
            pan_deg / self.axes.pan_scale_deg,
            (tilt_deg - self.axes.tilt_offset_deg) / self.axes.tilt_scale_deg,
        )


def fit(sightings: Sequence[Sighting]) -> Mount:
    """Return the mount that explains the sightings best.

    Raises `ValueError`: too few landmarks, all in one direction, or they contradict each other.
    """
    if len(sightings) < FEWEST_LANDMARKS:
        raise ValueError(f"{FEWEST_LANDMARKS} landmarks at least are needed")
    if _spread_deg(sightings) < 10.0:
        raise ValueError("the landmarks lie too near to one another: take some 10 degrees apart")
    _, mount = min(_candidates(sightings), key=lambda found: found[0])
    if mount.residual_deg > MOST_RESIDUAL_DEG:
        worst = max(range(len(sightings)), key=lambda number: mount.errors_deg[number])
        raise ValueError(
            f"the landmarks contradict each other by {mount.residual_deg:.1f} degrees,"
            f" most of all number {worst + 1}"
        )
    return mount


def _candidates(sightings: Sequence[Sighting]) -> Iterator[tuple[float, Mount]]:
    """Yield (residual for its freedom, mount) of each model that the landmarks can carry."""
    equations = 2 * len(sightings)
    upright = [
        _fitted("yaw", sightings, [_start_yaw(sightings, axes)], _rigid(axes), equations)
        for axes in _known_axes(sightings)
    ]
    upright.sort(key=lambda found: found[0])
    yield from upright[:1]
    for _, mount in upright[:_TRIED_FURTHER]:  # the others report in another way altogether
        leaning = [mount.yaw_deg, 0.0, 0.0]
        yield _fitted("full", sightings, leaning, _rigid(mount.axes), equations)
        if _may_be_normalised(sightings) and equations >= _EQUATIONS_TO_SCALE:
            axes = mount.axes
            scales = [axes.pan_scale_deg, axes.tilt_scale_deg, axes.tilt_offset_deg]
            yield _fitted("full-scaled", sightings, [*leaning, *scales], _scaled, equations)


def _fitted(
    model: str,
    sightings: Sequence[Sighting],
    start: list[float],
    build: Callable[[Sequence[float]], Mount],
    equations: int,
) -> tuple[float, Mount]:
    def residuals(x: Sequence[float]) -> list[float]:
        mount = build(x)
        return [
            (seen - told) / _expected_error(sighting.toward)
            for sighting in sightings
            for seen, told in zip(
                mount.toward(sighting.pan, sighting.tilt), _unit(sighting.toward), strict=True
            )
        ]

    x, cost = least_squares(residuals, start)
    mount = build(x)
    errors = tuple(_between_deg(mount.toward(s.pan, s.tilt), _unit(s.toward)) for s in sightings)
    rms = math.sqrt(sum(e * e for e in errors) / len(errors))
    judged = math.sqrt(cost / max(1, equations - len(start)))
    return judged, replace(mount, model=model, residual_deg=rms, errors_deg=errors)


def _expected_error(toward: Vector) -> float:
    """Return how far off a landmark may look, in radians: the map's error counts more when near."""
    return math.hypot(MAP_ERROR_M / math.hypot(*toward), math.radians(CENTRING_DEG))


def _rigid(axes: Axes) -> Callable[[Sequence[float]], Mount]:
    def build(x: Sequence[float]) -> Mount:
        lean = (x[1], x[2]) if len(x) > 1 else (0.0, 0.0)
        return Mount("", axes, x[0], *lean, residual_deg=0.0)

    return build


def _scaled(x: Sequence[float]) -> Mount:
    return Mount("", Axes(x[3], x[4], x[5]), x[0], x[1], x[2], residual_deg=0.0)


def _known_axes(sightings: Sequence[Sighting]) -> Iterator[Axes]:
    """The ways cameras are known to report: degrees or -1..1, each axis either way round."""
    for pan in (1.0, -1.0):
        for tilt in (1.0, -1.0):
            yield Axes(pan, tilt, 0.0)
    if not _may_be_normalised(sightings):
        return
    for pan in (180.0, -180.0, 175.0, -175.0, 170.0, -170.0):
        for tilt, offset in ((90.0, 0.0), (-90.0, 0.0), (45.0, -45.0), (-45.0, -45.0)):
            yield Axes(pan, tilt, offset)


def _may_be_normalised(sightings: Sequence[Sighting]) -> bool:
    return all(abs(value) <= _NORMALISED for s in sightings for value in (s.pan, s.tilt))


def _start_yaw(sightings: Sequence[Sighting], axes: Axes) -> float:
    """Return the mean of what each landmark alone says of the yaw, in degrees."""
    east = north = 0.0
    for s in sightings:
        azimuth = math.atan2(s.toward[0], s.toward[1]) - math.radians(s.pan * axes.pan_scale_deg)
        east, north = east + math.sin(azimuth), north + math.cos(azimuth)
    return math.degrees(math.atan2(east, north))


def _toward(mount: Mount, pan: float, tilt: float) -> Vector:
    azimuth = math.radians(pan * mount.axes.pan_scale_deg + mount.yaw_deg)
    height = math.radians(tilt * mount.axes.tilt_scale_deg + mount.axes.tilt_offset_deg)
    flat = math.cos(height)
    upright = (flat * math.sin(azimuth), flat * math.cos(azimuth), math.sin(height))
    return _leaned(upright, mount.lean_east_deg, mount.lean_north_deg, back=False)


def _leaned(v: Vector, lean_east_deg: float, lean_north_deg: float, *, back: bool) -> Vector:
    """Turn about the north axis (lean to the east), then about the east axis; `back` undoes it."""
    turns = [_about_north(lean_east_deg), _about_east(lean_north_deg)]
    for turn in reversed(turns) if back else turns:
        v = turn(v)
    return v


def _about_north(angle_deg: float) -> Callable[[Vector], Vector]:
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return lambda v: (c * v[0] + s * v[2], v[1], -s * v[0] + c * v[2])


def _about_east(angle_deg: float) -> Callable[[Vector], Vector]:
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return lambda v: (v[0], c * v[1] + s * v[2], -s * v[1] + c * v[2])


def _spread_deg(sightings: Sequence[Sighting]) -> float:
    units = [_unit(s.toward) for s in sightings]
    return max(_between_deg(a, b) for a in units for b in units)


def _unit(v: Vector) -> Vector:
    length = math.sqrt(v[0] ** 2 + v[1] ** 2 + v[2] ** 2)
    return (v[0] / length, v[1] / length, v[2] / length)


def _between_deg(a: Vector, b: Vector) -> float:
    cross = (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )
    sine = math.sqrt(sum(c * c for c in cross))
    return math.degrees(math.atan2(sine, sum(x * y for x, y in zip(a, b, strict=True))))
