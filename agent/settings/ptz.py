"""How a camera's PTZ head is used: where it rests, where it must not look, its guard tour."""

from typing import Annotated

from msgspec import Meta, Struct

from agent.settings.camera_io import Token


class ForbiddenSector(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A box of pan and tilt, in the camera's own numbers; a missing side is open.

    `pan_from` above `pan_to` goes over the end of the range, as 350 to 10 degrees.
    """

    pan_from: float | None = None
    pan_to: float | None = None
    tilt_from: float | None = None
    tilt_to: float | None = None

    def __post_init__(self) -> None:
        if None not in (self.tilt_from, self.tilt_to) and self.tilt_from >= self.tilt_to:  # type: ignore[operator]
            raise ValueError("`tilt_from` must be below `tilt_to`")


class TourStop(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A preset of the guard tour, and for how long the camera looks there."""

    preset: Token
    dwell_s: Annotated[float, Meta(ge=2, le=3600)] = 20.0


class PtzSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`home`: where it goes when a lease is over: "home", a preset's token, or "" to stay.

    While an emergency bell of this camera calls, it looks at `bell_preset` ("": as it stands).
    The `tour` is run by the box while nobody holds the camera; leave it empty where the camera runs
    its own. Into `sectors` nobody moves it.
    """

    home: Annotated[str, Meta(max_length=64)] = "home"
    bell_preset: Annotated[str, Meta(max_length=64)] = ""
    sectors: tuple[ForbiddenSector, ...] = ()
    tour: tuple[TourStop, ...] = ()
