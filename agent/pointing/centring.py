"""How far to turn so that what is at one place of the picture comes to its middle.

Rough where the camera's numbers are no degrees and nothing was calibrated yet: whoever taps again
comes nearer each time.
"""

import math

from agent.pointing.aim import Reach
from agent.pointing.mount import Axes

_DEGREES_FROM = 2.5  # a span wider than -1..1 is told in degrees
_PAN_SHARE_DEG, _TILT_SHARE_DEG = 180.0, 90.0  # what most heads make of 0..1
_MOST_STRETCH = 5.0  # looking straight down, pan means nothing


def fov_deg(zoom: float | None, reach: Reach) -> float:
    """Return the field of view at a zoom, by the usual law (see `Reach`)."""
    low, high = reach.zoom
    share = 0.0 if zoom is None or high <= low else min(1.0, max(0.0, (zoom - low) / (high - low)))
    wide, tele = (math.tan(math.radians(deg / 2)) for deg in (reach.wide_deg, reach.tele_deg))
    return math.degrees(2 * math.atan(wide * (tele / wide) ** share))


def axes_of(reach: Reach) -> Axes:
    """Guess what the camera's numbers mean, from how far they go."""
    is_degrees = reach.pan[1] - reach.pan[0] > _DEGREES_FROM
    return Axes() if is_degrees else Axes(_PAN_SHARE_DEG, _TILT_SHARE_DEG)


def turn_to(
    at: tuple[float, float], aspect: float, fov: float, tilt: float, axes: Axes
) -> tuple[float, float]:
    """Return by how much to change pan and tilt, in the camera's numbers; `fov` is across."""
    half = math.tan(math.radians(fov / 2))
    right_deg = math.degrees(math.atan((2 * at[0] - 1) * half))
    up_deg = math.degrees(math.atan((1 - 2 * at[1]) * half / aspect))
    tilt_deg = tilt * axes.tilt_scale_deg + axes.tilt_offset_deg
    stretch = min(_MOST_STRETCH, 1 / max(1e-3, math.cos(math.radians(tilt_deg))))
    return right_deg * stretch / axes.pan_scale_deg, up_deg / axes.tilt_scale_deg
