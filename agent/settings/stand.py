"""Where a camera stands and looks on the map: what pointing and incident sessions go by."""

from typing import Annotated

from msgspec import Meta, Struct

Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
_Angle = Annotated[float, Meta(gt=0, lt=180)]
_Neighbour = Annotated[str, Meta(pattern="^([a-z0-9][a-z0-9-]{0,31}/)?[a-z0-9][a-z0-9-]{0,31}$")]


class LandmarkSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place on the map that was centred in the picture, and what the camera reported then.

    `height_m` is the ground's there (the height of targets near it), on the scale of the stand's.
    """

    name: str = ""
    lat: Latitude
    lon: Longitude
    height_m: float
    pan: float
    tilt: float


class StandSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`height_m` is the lens's, on any one scale; the ground at the pole is `above_ground_m` lower.

    `azimuth_deg` (clockwise from north) is where a fixed camera looks. `wide_deg` is the horizontal
    field of view, of a PTZ camera with the zoom at its widest, `tele_deg` at its nearest. A PTZ
    camera without GeoMove needs three landmarks or more, better four, all around. An incident
    further away than `most_m` is left to others. `neighbours` are the cameras that somebody who
    leaves its view comes to, those of other boxes as "box/camera": they are made ready while it
    follows somebody.
    """

    lat: Latitude
    lon: Longitude
    height_m: float = 5.0
    above_ground_m: Annotated[float, Meta(gt=0, le=200)] = 5.0
    azimuth_deg: Annotated[float, Meta(ge=0, le=360)] = 0.0
    wide_deg: _Angle = 60.0
    tele_deg: _Angle = 3.0
    width_px: Annotated[int, Meta(ge=16)] = 1920
    most_m: Annotated[float, Meta(gt=0, le=5000)] = 120.0
    neighbours: Annotated[tuple[_Neighbour, ...], Meta(max_length=8)] = ()
    landmarks: Annotated[tuple[LandmarkSettings, ...], Meta(max_length=24)] = ()

    def __post_init__(self) -> None:
        if self.tele_deg > self.wide_deg:
            raise ValueError("`tele_deg` must not be above `wide_deg`")
