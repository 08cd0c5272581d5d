"""Where a simulated head turns to see a place on the map: it knows exactly how it hangs."""

import math

from agent.pointing.geodesy import Place, enu_m
from agent.pointing.mount import Axes, Mount
from agent.simulators.camera.onvif_service import SoapRefusal
from agent.simulators.camera.onvif_settings import SimulatedPlace
from agent.simulators.camera.ptz_motor import MotorPosition

_AXES = Axes(pan_scale_deg=180.0, tilt_scale_deg=90.0)


def mount_of(place: SimulatedPlace) -> Mount:
    """Return how the camera hangs, as its own maker would know."""
    return Mount(
        "true", _AXES, place.yaw_deg, place.lean_east_deg, place.lean_north_deg, residual_deg=0.0
    )


def aimed(place: SimulatedPlace, target: Place, width_m: float) -> MotorPosition:
    """Return the position that sees `target`, `width_m` wide."""
    toward = enu_m(target, Place(place.lat, place.lon, place.height_m))
    pan, tilt = mount_of(place).position(toward)
    if not (-1 <= pan <= 1 and -1 <= tilt <= 1):
        raise SoapRefusal("GeoMoveNotPossible", "out of reach", "Receiver")
    wide, tele = (math.tan(math.radians(f / 2)) for f in (place.wide_deg, place.tele_deg))
    wanted = max(tele, min(wide, width_m / 2 / math.hypot(*toward)))
    return MotorPosition(pan, tilt, math.log(wide / wanted) / math.log(wide / tele))
