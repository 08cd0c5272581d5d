"""From a camera's settings to what pointing knows of it."""

from agent.core.errors import CommandError
from agent.pointing.aim import Landmark, Pointing, calibrate
from agent.pointing.footprint import View
from agent.pointing.geodesy import Place
from agent.settings.stand import StandSettings


def eye_of(stand: StandSettings) -> Place:
    """Return where the lens is."""
    return Place(stand.lat, stand.lon, stand.height_m)


def pointing_of(camera_id: str, stand: StandSettings | None) -> Pointing:
    """Fit the camera's landmarks. Raises `CommandError` aim.no_stand or aim.calibration."""
    if stand is None:
        raise CommandError(
            "aim.no_stand",
            f"Nobody told the box where camera {camera_id} stands.",
            hint="Give it `stand` in the settings: latitude, longitude, height, landmarks.",
        )
    marks = [
        Landmark(Place(one.lat, one.lon, one.height_m), one.pan, one.tilt)
        for one in stand.landmarks
    ]
    return calibrate(eye_of(stand), marks)


def view_of(
    camera_id: str,
    stand: StandSettings,
    *,
    has_ptz: bool = False,
    is_busy: bool = False,
    looks_deg: float | None = None,
) -> View:
    """Return what the camera sees; `looks_deg` is where a PTZ camera looks now, if known."""
    return View(
        camera_id=camera_id,
        place=eye_of(stand),
        azimuth_deg=stand.azimuth_deg if looks_deg is None else looks_deg,
        fov_deg=stand.wide_deg,
        width_px=stand.width_px,
        height_above_ground_m=stand.above_ground_m,
        has_ptz=has_ptz,
        tele_deg=stand.tele_deg if has_ptz else None,
        is_busy=is_busy,
        most_m=stand.most_m,
        nexts=stand.neighbours,
    )
