"""What a technician tells of a camera beside its rules: what is masked, where it stands, landmarks.

Page -> here -> `SetupChanges`, which checks, stores and audits it.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from agent.core.errors import CommandError, SettingsError
from agent.local.access.people import Person
from agent.local.setup.changes import SetupChanges
from agent.pointing.mount import FEWEST_LANDMARKS
from agent.pointing.stand import pointing_of
from agent.settings.model import CameraSettings
from agent.settings.rules import Point
from agent.settings.stand import LandmarkSettings, StandSettings

STAND_FIELDS: Final = ("lat", "lon", "height_m", "above_ground_m")


class Mark(Struct, frozen=True, kw_only=True):
    """A landmark and how far the fit misses it."""

    name: str
    lat: float
    lon: float
    height_m: float
    error_deg: float | None = None


class Fit(Struct, frozen=True, kw_only=True):
    """Where the camera stands, its landmarks, and how well they fit together; None: not yet."""

    stand: dict[str, float] | None
    marks: tuple[Mark, ...] = ()
    fewest: int = FEWEST_LANDMARKS
    model: str = ""
    residual_deg: float | None = None
    problem: str = ""


class StandChanges:
    """All or nothing, as all of `SetupChanges`."""

    def __init__(self, changes: SetupChanges) -> None:
        self._changes = changes

    async def put_masks(
        self, camera: CameraSettings, masks: tuple[tuple[Point, ...], ...], by: Person
    ) -> None:
        """Have the box itself mask these polygons."""
        await self._changes.put(camera, {"masks": masks}, by)

    async def put_stand(self, camera: CameraSettings, told: Mapping[str, str], by: Person) -> None:
        """Say where the lens is, in `STAND_FIELDS`; its landmarks stay."""
        await self._put(camera, {name: _number(told, name) for name in STAND_FIELDS}, by)

    async def add_mark(
        self, camera: CameraSettings, told: Mapping[str, str], at: tuple[float, float], by: Person
    ) -> None:
        """Note that the camera looks at a known place: `at` are pan and tilt in its numbers."""
        mark = {name: _number(told, name) for name in ("lat", "lon", "height_m")}
        mark |= {"pan": at[0], "tilt": at[1]}
        name = told.get("name", "").strip()[:64]
        marks = [*_marks(camera), {"name": name, **mark}]
        await self._put(camera, {"landmarks": marks}, by)

    async def remove_mark(self, camera: CameraSettings, number: str, by: Person) -> None:
        """Take the landmark of this number (from 0) away."""
        marks = _marks(camera)
        if not number.isdecimal() or int(number) >= len(marks):
            raise SettingsError("setup.no_mark", "There is no such landmark.")
        del marks[int(number)]
        await self._put(camera, {"landmarks": marks}, by)

    async def _put(self, camera: CameraSettings, told: dict[str, Any], by: Person) -> None:
        if camera.stand is None and "lat" not in told:
            raise SettingsError("setup.no_stand", "Say first where the camera is.")
        await self._changes.put(camera, {"stand": told}, by)


def fit_of(camera: CameraSettings) -> Fit:
    """Return what is known, fitted as far as it goes."""
    stand = camera.stand
    if stand is None:
        return Fit(stand=None)
    fit = Fit(
        stand={name: getattr(stand, name) for name in STAND_FIELDS},
        marks=tuple(_mark(one, None) for one in stand.landmarks),
    )
    if len(stand.landmarks) < FEWEST_LANDMARKS:
        return fit
    try:
        mount = pointing_of(camera.camera_id, stand).mount
    except CommandError as error:
        return structs.replace(fit, problem=error.message)
    return structs.replace(
        fit,
        marks=tuple(
            _mark(one, round(error_deg, 2))
            for one, error_deg in zip(stand.landmarks, mount.errors_deg, strict=True)
        ),
        model=mount.model,
        residual_deg=round(mount.residual_deg, 2),
    )


def _mark(one: LandmarkSettings, error_deg: float | None) -> Mark:
    return Mark(name=one.name, lat=one.lat, lon=one.lon, height_m=one.height_m, error_deg=error_deg)


def _marks(camera: CameraSettings) -> list[dict[str, Any]]:
    stand: StandSettings | None = camera.stand
    return [msgspec.to_builtins(one) for one in stand.landmarks] if stand else []


def _number(told: Mapping[str, str], name: str) -> float:
    try:
        return float(told.get(name, "").strip().replace(",", "."))
    except ValueError:
        raise SettingsError("settings.invalid", f"`{name}` is no number.") from None
