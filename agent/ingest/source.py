"""Opens a camera's stream with PyAV and says in our words what went wrong.

Only the thread that opened a container may touch or close it: closing from another one segfaults.
"""

import socket
from dataclasses import dataclass
from fractions import Fraction
from urllib.parse import quote, urlsplit, urlunsplit

import av
from av.container import InputContainer
from av.error import (
    ConnectionRefusedError as AvConnectionRefusedError,
)
from av.error import (
    ExitError,
    FFmpegError,
    HTTPForbiddenError,
    HTTPNotFoundError,
    HTTPUnauthorizedError,
    InvalidDataError,
)
from av.error import (
    TimeoutError as AvTimeoutError,
)
from av.video.stream import VideoStream

from agent.core.errors import CameraError
from agent.core.redact import redact_text

OPEN_TIMEOUT_S = 10.0
GREETING_TIMEOUT_S = 2.0
RTSP_PORT = 554

# Fast opening with parameter sets from the SDP; `nobuffer` would drop the first key frame.
_RTSP_OPTIONS = {
    "rtsp_transport": "tcp",
    "timeout": "5000000",
    "analyzeduration": "0",
    "probesize": "32",
    "fpsprobesize": "0",
    "allowed_media_types": "video",  # audio is dropped at the demuxer
}

RECORDABLE_CODECS = ("h264", "hevc")


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What is known of a stream once it is open. Sizes are 0 while unknown."""

    codec: str
    width_px: int
    height_px: int
    time_base: Fraction


def open_stream(url: str, username: str, password: str, stall_s: float) -> InputContainer:
    """Open `url` (rtsp, rtsps or a file) for the calling thread.

    Raises `CameraError` with code camera.wrong_password, camera.no_such_stream, camera.refused,
    camera.timeout, camera.not_a_camera or camera.unreachable.
    """
    is_rtsp = url.startswith(("rtsp://", "rtsps://"))
    try:
        return av.open(
            with_login(url, username, password),
            options=_RTSP_OPTIONS if is_rtsp else {},
            timeout=(OPEN_TIMEOUT_S, stall_s),
        )
    except (FFmpegError, OSError) as error:
        told = camera_error(error, url)
        if told.code == "camera.not_a_camera" and is_rtsp and _is_silent_or_rtsp(url):
            told = camera_error(TimeoutError(), url)
        raise told from None  # the cause's text may hold the password


def video_of(container: InputContainer) -> tuple[VideoStream, StreamFacts]:
    """Return the video stream of an open container. Raises `CameraError` when it has none."""
    if not container.streams.video:
        raise CameraError(
            "camera.no_video",
            "The address answers, but has no video.",
            hint="Check the stream path; ask the camera's page for its RTSP address.",
        )
    stream = container.streams.video[0]
    context = stream.codec_context
    if context.name not in RECORDABLE_CODECS:
        raise CameraError(
            "camera.codec",
            f"The stream is {context.name}; only H.264 and H.265 can be recorded.",
            hint="Set the camera's encoder to H.264 or H.265.",
        )
    assert stream.time_base is not None  # noqa: S101 - every demuxer sets it
    facts = StreamFacts(context.name, context.width, context.height, stream.time_base)
    return stream, facts


def _is_silent_or_rtsp(url: str) -> bool:
    """Return whether the peer says nothing, or does speak RTSP: then it may well be a camera.

    libav calls it invalid data alike when nobody answers and when something else does.
    """
    parts = urlsplit(url)
    hello = b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    try:
        address = parts.hostname or "", parts.port or RTSP_PORT
        with socket.create_connection(address, GREETING_TIMEOUT_S) as sock:
            sock.sendall(hello)
            answer = sock.recv(64)
    except OSError:
        return True
    return not answer or answer.startswith(b"RTSP/")


def with_login(url: str, username: str, password: str) -> str:
    """Return `url` with the login in it, percent-encoded; PyAV takes it no other way."""
    if not username:
        return url
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    login = f"{quote(username, safe='')}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{login}@{host}"))


def camera_error(error: Exception, url: str) -> CameraError:
    """Translate what PyAV raised into a `CameraError` a technician understands."""
    host = urlsplit(url).hostname or "the camera"
    if isinstance(error, HTTPUnauthorizedError | HTTPForbiddenError):
        return CameraError(
            "camera.wrong_password",
            f"{host} refuses this user name and password.",
            hint="Set the camera's own user name and password; it may lock after more tries.",
        )
    if isinstance(error, HTTPNotFoundError):
        return CameraError(
            "camera.no_such_stream",
            f"{host} has no stream at this path.",
            hint="Check the path, or give `onvif_url` and let the camera tell its own.",
        )
    if isinstance(error, AvConnectionRefusedError | ConnectionRefusedError):
        return CameraError(
            "camera.refused",
            f"{host} is there, but nothing listens on that port.",
            hint="Check the port; the camera may still be starting.",
            retryable=True,
        )
    if isinstance(error, ExitError | AvTimeoutError | TimeoutError):
        return CameraError(
            "camera.timeout",
            f"{host} does not answer in time.",
            hint="Check power, cable and switch port; then the camera itself.",
            retryable=True,
        )
    if isinstance(error, InvalidDataError | ValueError):
        return CameraError(
            "camera.not_a_camera",
            f"What answers at {host} does not speak RTSP as a camera does.",
            hint="Check address and port: this may be another device.",
            retryable=True,
        )
    return CameraError(
        "camera.unreachable",
        f"{host} can't be reached: {redact_text(str(error))}.",
        hint="Check address, cable and power.",
        retryable=True,
    )
