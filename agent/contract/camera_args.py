"""The orders that look after a camera: its texts, masks, encoders, password, clock and settings."""

from typing import Annotated, Literal

from msgspec import Meta

from agent.contract.command_args import CommandArgs
from agent.contract.events import Fraction, Slug

OnvifToken = Annotated[str, Meta(max_length=64)]


class CameraOsd(
    CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="camera.osd"
):
    """List the texts in a camera's picture; change one, show a further one, take one away.

    The reply has all texts as the camera shows them afterwards, and asked and got of a change.
    """

    camera_id: Slug
    action: Literal["list", "set", "add", "remove"] = "list"
    token: OnvifToken = ""
    text: Annotated[str, Meta(max_length=128)] = ""
    corner: Literal["UpperLeft", "UpperRight", "LowerLeft", "LowerRight"] = "UpperLeft"

    def __post_init__(self) -> None:
        if self.action in ("set", "remove") and not self.token:
            raise ValueError(f"`{self.action}` needs `token`")
        if self.action in ("set", "add") and not self.text.strip():
            raise ValueError(f"`{self.action}` needs `text`")


class CameraMasks(
    CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="camera.masks"
):
    """List a camera's own privacy masks; cover a polygon, or take a mask away.

    Corners are fractions of the picture, x right and y down. The reply has all masks as the camera
    has them afterwards.
    """

    camera_id: Slug
    action: Literal["list", "add", "remove"] = "list"
    token: OnvifToken = ""
    polygon: Annotated[tuple[tuple[Fraction, Fraction], ...], Meta(max_length=32)] = ()

    def __post_init__(self) -> None:
        if self.action == "add" and len(self.polygon) < 3:
            raise ValueError("`add` needs `polygon` with three corners or more")
        if self.action == "remove" and not self.token:
            raise ValueError("`remove` needs `token`")


class CameraEncoder(
    CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="camera.encoder"
):
    """Change how a camera encodes a stream; the reply tells asked and got of each value."""

    camera_id: Slug
    stream: Literal["main", "sub"] = "main"
    encoding: Literal["", "H264", "H265"] = ""
    width_px: Annotated[int, Meta(ge=16, le=16_384)] | None = None
    height_px: Annotated[int, Meta(ge=16, le=16_384)] | None = None
    fps: Annotated[float, Meta(gt=0, le=240)] | None = None
    kbps: Annotated[int, Meta(ge=16, le=200_000)] | None = None
    gop: Annotated[int, Meta(ge=1, le=1000)] | None = None


class CameraPassword(
    CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="camera.password"
):
    """Give a camera a new password, made at the box; it works, or the old one still does.

    No message holds it. With `seal_for`, an X25519 public key (base64url, 43 characters), the reply
    has it `sealed` for that key alone: JWE in compact form, ECDH-ES and A256GCM.
    """

    camera_id: Slug
    seal_for: Annotated[str, Meta(pattern=r"^([A-Za-z0-9_-]{43})?$")] = ""


class CameraCare(
    CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="camera.care"
):
    """Look after a camera.

    `clock` sets its clock; `reboot` starts it anew; `compare` tells which settings are not as they
    were kept, `accept` keeps them as they are now, `restore` sets them back (encoders, imaging,
    texts, masks; inside a lease also the presets).
    """

    camera_id: Slug
    action: Literal["clock", "reboot", "compare", "accept", "restore"]


CameraArgs = CameraOsd | CameraMasks | CameraEncoder | CameraPassword | CameraCare
CAMERA_OPERATIONS = (
    "camera.osd",
    "camera.masks",
    "camera.encoder",
    "camera.password",
    "camera.care",
)
