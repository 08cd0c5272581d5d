"""RTSP and RTSPS cameras through PyAV, and libav's errors in our words.

Only the thread that opened a container may touch or close it: closing from another one segfaults.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace
from typing import cast
from urllib.parse import quote, urlsplit, urlunsplit

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import (
    ConnectionRefusedError as AvConnectionRefusedError,
)
from av.error import (
    ExitError,
    HTTPForbiddenError,
    HTTPNotFoundError,
    HTTPUnauthorizedError,
    InvalidDataError,
)
from av.error import (
    TimeoutError as AvTimeoutError,
)
from av.packet import Packet
from av.video.stream import VideoStream

from agent.core.clock import Clock
from agent.core.errors import CameraError
from agent.core.redact import redact_text
from agent.ingest import refusals
from agent.ingest.admission import Asking
from agent.ingest.greeting import Peer, greet, refuses_clearly
from agent.ingest.source import (
    STRANGE_BYTES,
    OnSound,
    Patience,
    StreamAddress,
    StreamFacts,
    TlsTrust,
    video_of,
    with_sound,
)
from agent.ingest.tls import tls_error
from agent.ingest.wire.dialog import Dialog

_MOST_TRACKS = 4  # a hostile description lists thousands, a camera video and, maybe, sound

# Fast opening; `nobuffer` would drop the first key frame. One packet is always read, so parameter
# sets that the SDP leaves out are taken from the stream.
_OPTIONS = {
    "rtsp_transport": "tcp",
    "analyzeduration": "0",
    "probesize": "32",
    "fpsprobesize": "0",
    "max_streams": str(_MOST_TRACKS),
}


_NETWORK_ERRORS = frozenset(
    {
        errno.EIO,
        errno.EPIPE,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ETIMEDOUT,
    }
)


class RtspSource:
    """One RTSP session over TCP. Audio is not even set up unless the address allows it."""

    looks_after_itself = False

    def __init__(
        self,
        address: StreamAddress,
        patience: Patience,
        clock: Clock,
        on_sound: OnSound | None = None,
    ) -> None:
        """Connect, log in and start playing.

        Raises `CameraError` with code camera.wrong_password, camera.no_such_stream,
        camera.refused, camera.timeout, camera.not_a_camera, camera.tls, camera.no_video,
        camera.codec or camera.unreachable.
        """
        self._url, self._patience, self._clock = address.url, patience, clock
        self._on_sound = on_sound
        asking = who_asks(address, patience, clock)
        if asking is None and address.door is not None:
            address = _without_login(address)
        self._container = _open(address, patience, clock)
        try:
            self.template, self.facts = _video_of(self._container, address.url)
            if address.audio:
                self.facts = with_sound(self.facts, self._container)
        except CameraError:
            self._container.close()
            raise
        if address.door is not None and asking is not None:
            address.door.opened(asking)

    def packets(self) -> Iterator[Packet[VideoStream]]:
        heard_s, index = self._clock.monotonic_s(), self.template.index
        silence_s, sound = min(self._patience.open_s, self._patience.stall_s), self.facts.sound
        try:
            for packet in self._container.demux():
                if packet.stream_index == index:
                    heard_s, silence_s = self._clock.monotonic_s(), self._patience.stall_s
                    yield cast("Packet[VideoStream]", packet)
                    continue
                if self._clock.monotonic_s() - heard_s > silence_s:
                    raise TimeoutError  # other tracks go on, the video does not
                if sound is not None and self._on_sound and packet.stream_index == sound.index:
                    self._on_sound(cast("Packet[AudioStream]", packet))
        except STRANGE_BYTES as error:
            raise broken_off(error, self._url) from None

    def close(self) -> None:
        self._container.close()


class _PeekedError(Exception):
    """Enough is known."""


class _Peek:
    """Takes down who asks for a login, and gives none."""

    asking: Asking | None = None

    def admit(self, asking: Asking) -> None:
        self.asking = asking
        raise _PeekedError

    def opened(self, asking: Asking) -> None:
        """Never happens."""


def who_asks(address: StreamAddress, patience: Patience, clock: Clock) -> Asking | None:
    """Have it decided over a first connection whether libav may log in over the next one.

    None: no login is asked for. libav would answer whoever asks, in clear, too.
    """
    if address.door is None:
        return None
    peek = _Peek()
    peeking = replace(address, door=peek, trial=None)
    dialog = Dialog(peeking, clock, clock.monotonic_s() + patience.open_s)
    try:
        dialog.connect()
        dialog.knock()
    except _PeekedError:
        pass
    except STRANGE_BYTES as error:
        raise _opening_failed(error, address, patience) from None
    finally:
        dialog.close()
    if peek.asking is not None:
        address.door.admit(peek.asking)
        if address.trial is not None:
            address.trial.begin()
    return peek.asking


def _without_login(address: StreamAddress) -> StreamAddress:
    parts = urlsplit(address.url)
    url = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return replace(address, url=url, username="", password="")


def _open(address: StreamAddress, patience: Patience, clock: Clock) -> InputContainer:
    began_s = clock.monotonic_s()
    try:
        return av.open(
            with_login(address.url, address.username, address.password),
            options=_OPTIONS
            | {"allowed_media_types": "video+audio" if address.audio else "video"}
            | {"timeout": str(round(max(patience.open_s, patience.stall_s) * 1e6))}
            | _tls_options(address.tls),
            timeout=(patience.open_s, patience.stall_s),
            metadata_errors="replace",
        )
    except STRANGE_BYTES as error:
        is_late = clock.monotonic_s() - began_s >= patience.open_s
        told: Exception = TimeoutError() if is_late else error  # libav: "invalid data" for silence
        # `from None`: the cause's text may hold the password
        raise _opening_failed(told, address, patience) from None


def _video_of(container: InputContainer, url: str) -> tuple[VideoStream, StreamFacts]:
    if len(container.streams) >= _MOST_TRACKS:
        raise broken_off(ValueError(), url)
    try:
        return video_of(container)
    except STRANGE_BYTES as error:
        raise camera_error(error, url) from None


def _tls_options(trust: TlsTrust) -> dict[str, str]:
    options = {"tls_verify": "1" if trust.verify else "0"}
    if trust.ca_file:
        options["ca_file"] = trust.ca_file
    if trust.host:
        options["verifyhost"] = trust.host
    return options


def _opening_failed(error: Exception, address: StreamAddress, patience: Patience) -> CameraError:
    is_tls = address.url.startswith("rtsps://")
    if is_tls and isinstance(error, OSError) and error.errno == errno.EIO:
        return tls_error(address.url, address.tls, patience.open_s)  # libav doesn't say what
    told = camera_error(error, address.url)
    if told.code == "camera.wrong_password" and not is_tls and not refuses_clearly(address.url):
        return broken_off(ValueError(), address.url)
    if told.code not in ("camera.not_a_camera", "camera.timeout") or is_tls:
        return told
    if patience.is_known:
        return broken_off(error, address.url)
    peer = greet(address.url)
    if peer is Peer.OTHER:
        return camera_error(ValueError(), address.url)
    return broken_off(error, address.url) if peer is Peer.RTSP else _no_answer(address.url)


def _no_answer(url: str) -> CameraError:
    return camera_error(TimeoutError(), url)


def with_login(url: str, username: str, password: str) -> str:
    """Return `url` with the login in it, percent-encoded; PyAV takes it no other way."""
    if not username:
        return url
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    login = f"{quote(username, safe='')}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{login}@{host}"))


def broken_off(error: Exception, url: str) -> CameraError:
    """Say why an open stream ended. What has sent video is a camera, whatever it sends now."""
    if isinstance(error, CameraError):
        return error
    told = camera_error(error, url)
    is_nonsense = told.code == "camera.unreachable" and not _is_network_trouble(error)
    if told.code == "camera.not_a_camera" or is_nonsense:
        return refusals.garbled()
    return told


def camera_error(error: Exception, url: str) -> CameraError:
    """Translate what PyAV raised into a `CameraError` a technician understands."""
    host = urlsplit(url).hostname or "the camera"
    if isinstance(error, HTTPUnauthorizedError | HTTPForbiddenError):
        return refusals.wrong_password(host)
    if isinstance(error, HTTPNotFoundError):
        return refusals.no_such_stream(host)
    if isinstance(error, AvConnectionRefusedError | ConnectionRefusedError):
        return refusals.port_closed(host)
    if isinstance(error, ExitError | AvTimeoutError | TimeoutError):
        return refusals.no_answer(host)
    strange = InvalidDataError | ValueError | LookupError | ArithmeticError | MemoryError
    if isinstance(error, strange) and not _is_network_trouble(error):
        return refusals.not_a_camera(host)
    return refusals.unreachable(host, redact_text(str(error)))


def _is_network_trouble(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in _NETWORK_ERRORS
