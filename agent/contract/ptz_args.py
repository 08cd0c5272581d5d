"""The orders that move a camera or change how it looks; steps inside a lease are in `ptz`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from agent.contract.command_args import CommandArgs, CommandId, Speed
from agent.contract.events import Slug

PtzPurpose = Literal["tour", "exercise", "operator", "disaster", "119", "bell", "manual-112"]


class PtzMove(
    CommandArgs,
    frozen=True,
    kw_only=True,
    omit_defaults=True,  # a box that does not know `purpose` need not see it
    forbid_unknown_fields=True,
    tag="ptz.move",
):
    """Move with these speeds for at most `timeout_s`, inside a lease; then stop by itself.

    Without a lease of one's own it is refused, unless `purpose` is given: then the box leases the
    camera for just this move, by the same rules and audited, and answers when it is over.
    """

    camera_id: Slug
    pan: Speed = 0.0
    tilt: Speed = 0.0
    zoom: Speed = 0.0
    timeout_s: Annotated[float, Meta(gt=0, le=10)] = 1.0
    purpose: PtzPurpose | None = None


class PtzStop(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ptz.stop"):
    """Stand still."""

    camera_id: Slug


class PtzLease(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ptz.lease"):
    """Hold the camera for at most `ttl_s`; steps follow (`agent.contract.ptz`).

    The reply `progress` grants it: `{lease, key, ttl_s, preempted}`; the final reply says how it
    ended. `key` is an X25519 public key (base64url, 43 characters). A higher `purpose`, and within
    the same one a higher `priority`, takes the camera from a lower one, and both are told.
    """

    camera_id: Slug
    purpose: PtzPurpose = "operator"
    key: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}$")]
    priority: Annotated[int, Meta(ge=0, le=9)] = 5
    ttl_s: Annotated[float, Meta(gt=0, le=120)] = 60.0


class PtzRelease(
    CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ptz.release"
):
    """Give the lease back; the camera stops."""

    lease: CommandId


class PtzPlace(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where to look, or how far to turn, in the camera's own numbers; what is missing stays."""

    pan: float | None = None
    tilt: float | None = None
    zoom: float | None = None


class PtzGoto(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ptz.goto"):
    """Go somewhere, inside a lease: to a place, by so much, to a preset, or home. Give one."""

    camera_id: Slug
    to: PtzPlace | None = None
    by: PtzPlace | None = None
    preset: Annotated[str, Meta(max_length=64)] = ""
    home: bool = False

    def __post_init__(self) -> None:
        if [self.to is not None, self.by is not None, self.preset != "", self.home].count(
            True
        ) != 1:
            raise ValueError("give one of `to`, `by`, `preset` and `home`")


class CameraAim(
    CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="camera.aim"
):
    """Look at a place on the map, `area_m` wide, by the camera's GeoMove or by its landmarks.

    Whoever holds no lease gets one for `hold_s`, for this purpose; the reply `progress` tells
    where the camera looks and how sure that is, the final one how the lease ended. Without
    `height_m` the height is the ground's, as far as the landmarks tell.
    """

    camera_id: Slug
    lat: Annotated[float, Meta(ge=-90, le=90)]
    lon: Annotated[float, Meta(ge=-180, le=180)]
    height_m: float | None = None
    area_m: Annotated[float, Meta(gt=0, le=1000)] = 20.0
    hold_s: Annotated[float, Meta(gt=0, le=120)] = 20.0
    purpose: PtzPurpose = "operator"
    priority: Annotated[int, Meta(ge=0, le=9)] = 5


class PtzPresets(
    CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ptz.presets"
):
    """List a camera's presets; or, inside a lease, keep where it looks now, or forget one.

    `set` keeps it as `preset` (a new one without) under `name`, `set-home` as home.
    """

    camera_id: Slug
    action: Literal["list", "set", "remove", "set-home"] = "list"
    preset: Annotated[str, Meta(max_length=64)] = ""
    name: Annotated[str, Meta(max_length=64)] = ""

    def __post_init__(self) -> None:
        if self.action == "remove" and not self.preset:
            raise ValueError("`remove` needs `preset`")
        if self.action == "set" and not self.name:
            raise ValueError("`set` needs `name`")


class PtzImaging(
    CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ptz.imaging"
):
    """Change how the picture is taken, inside a lease; the reply tells asked and got.

    Focus `near` and `far` last `for_s`. Without any change it only tells how it is.
    """

    camera_id: Slug
    focus: Literal["", "near", "far", "stop", "auto", "manual"] = ""
    for_s: Annotated[float, Meta(gt=0, le=5)] = 0.5
    exposure: Literal["", "auto", "manual"] = ""
    exposure_us: Annotated[float, Meta(gt=0)] | None = None
    gain_db: float | None = None
    ir_cut: Literal["", "on", "off", "auto"] = ""
    wdr: Literal["", "on", "off"] = ""


class PtzAux(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ptz.aux"):
    """Switch an auxiliary of the camera, inside a lease."""

    camera_id: Slug
    what: Literal["wiper", "washer", "ir-lamp"]
    state: Literal["on", "off", "auto"]
