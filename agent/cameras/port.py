"""The port to one camera's control side: what we ask, what we learn, and how it can go wrong.

The core process speaks to `CameraControl` only (through `agent.cameras.gate`); a backend such as
`agent.cameras.zeep_backend` implements it. Every backend must pass the same contract tests. All
calls are synchronous, bounded in time, and safe to make from two threads at once, so that a Stop
never waits for a slow question.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from agent.core.errors import CameraError

if TYPE_CHECKING:
    from agent.cameras.line import OnvifLine

MAX_MOVE_S = 60.0


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """Who the camera says it is. Empty text: it did not say."""

    manufacturer: str
    model: str
    firmware: str
    serial: str
    has_ptz: bool


@dataclass(frozen=True, slots=True)
class StreamProfile:
    """One way the camera can send its picture. Zero or empty: the camera did not say."""

    token: str
    name: str
    encoding: str  # "H264", "H265", "JPEG", "MPEG4": as ONVIF writes it, upper case
    width_px: int
    height_px: int
    fps: float
    gop: int


@dataclass(frozen=True, slots=True)
class PtzPosition:
    """Where the camera looks, in its own units (generic space: -1..1, zoom 0..1).

    None: the camera does not tell, which ONVIF allows for each part. `space` is the URI of the
    space that pan and tilt are numbers of; empty when it does not say.
    """

    pan: float | None = None
    tilt: float | None = None
    zoom: float | None = None
    is_moving: bool | None = None
    space: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look, or how far to turn, in the camera's own numbers; None: as it is."""

    pan: float | None = None
    tilt: float | None = None
    zoom: float | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """A user of the camera; an empty name means that none is needed."""

    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Login(username={self.username!r}, password=***)"


class CameraControl(Protocol):
    """One camera. Every method raises a `CameraFailure` and nothing else when it goes wrong.

    `line` is part of the port, and the part that no backend does its own way: `OnvifLine`, opened
    to the same camera through the same `Door`. Over it goes what is asked by hand: settings,
    presets, events, inputs and outputs, care.
    """

    line: "OnvifLine"

    def facts(self) -> DeviceFacts:
        """Log in and ask who the camera is; only after this is a login known to be right."""
        ...

    def profiles(self) -> tuple[StreamProfile, ...]:
        """List the stream profiles in the camera's order, which means nothing."""
        ...

    def stream_url(self, profile_token: str) -> str:
        """Return the RTSP-over-TCP address of a profile, reachable from here, without a login."""
        ...

    def move(self, pan: float, tilt: float, zoom: float, timeout_s: float) -> None:
        """Move with velocities -1..1 until `timeout_s` is over or `stop`."""
        ...

    def stop(self) -> None:
        """Stop all axes, by zero velocity where the camera knows no Stop.

        All that is asked for it goes out inside `agent.cameras.door.stopping`.
        """
        ...

    def position(self) -> PtzPosition:
        """Ask where the camera looks and whether it moves."""
        ...

    def clock_ahead_s(self) -> float | None:
        """Measure how far the camera's clock is ahead of ours, good to a second; None: untold."""
        ...

    def change_login(self, login: Login) -> None:
        """Use another user or password from now on; a refusal of the old one is forgotten."""
        ...

    def close(self) -> None:
        """Give connections back. Later calls open new ones."""
        ...


class CameraFailure(CameraError):  # noqa: N818 - the family's names say what is wrong
    """A camera did not do what was asked; subclasses say why, in words a technician can use."""

    camera_code: ClassVar[str] = "camera.failed"
    advice: ClassVar[str] = ""
    may_retry: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(
            self.camera_code, message, hint=hint or self.advice, retryable=self.may_retry
        )


class CameraUnreachable(CameraFailure):
    """No connection, or no answer in time."""

    camera_code = "camera.unreachable"
    advice = "Check the camera's power, cable and address."
    may_retry = True


class CameraWrongPassword(CameraFailure):
    """The camera refuses user and password."""

    camera_code = "camera.wrong_password"
    advice = (
        "Correct the user name and password of this camera. They are tried again at once when "
        "changed, else only after some minutes, so that the camera does not lock us out."
    )


class CameraUnsettled(CameraWrongPassword):
    """The camera refuses a login that it took before, as one that starts up does."""

    camera_code = "camera.unsettled"
    advice = "Wait: it is asked again within seconds. Should it refuse on, that is told."
    may_retry = True


class CameraClockSkew(CameraFailure):
    """The camera refuses a login that is most likely only stamped with the wrong time."""

    camera_code = "camera.clock_skew"
    advice = "Set the camera's date and time (or its NTP server), then try again."


class CameraCertificate(CameraFailure):
    """The camera does not prove who it is; nothing is sent to it."""

    camera_code = "camera.tls"
    advice = (
        "If the camera was exchanged or reset, confirm its new certificate (`poleside cameras "
        "probe` shows the fingerprint); else somebody may stand between box and camera."
    )


class CameraNotOnvif(CameraFailure):
    """Something answers there, but it does not speak ONVIF."""

    camera_code = "camera.not_onvif"
    advice = "Check the ONVIF address and port, and that ONVIF is switched on in the camera."


class CameraStranger(CameraFailure):
    """Another camera is at the address; no login is sent to it."""

    camera_code = "camera.stranger"
    advice = (
        "If the camera was exchanged, reset or updated, confirm it with `poleside cameras "
        "confirm`; else look which device took its address."
    )


class CameraNotSupported(CameraFailure):
    """The camera cannot do this."""

    camera_code = "camera.not_supported"
    advice = "Choose a camera that can do this, or update its firmware."


class CameraBadResponse(CameraFailure):
    """The camera answers, but with an error or with something that makes no sense."""

    camera_code = "camera.bad_response"
    advice = "Restart the camera; if it stays, update its firmware and report the model."
    may_retry = True


class CameraLockedOut(CameraFailure):
    """The camera itself refuses all logins for a while after too many wrong ones."""

    camera_code = "camera.locked_out"
    advice = "Wait until the camera's lock ends (often 30 minutes) or unlock it on its own page."
    may_retry = True


def is_refusal(error: Exception) -> bool:
    """Say whether the camera took no login, and so did nothing of what was asked."""
    return isinstance(error, CameraWrongPassword | CameraClockSkew | CameraLockedOut)
