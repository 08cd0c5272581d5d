"""What a stream may come from: one interface for RTSP, files and the box's own camera sensor.

A source is opened, read and closed by one thread, the session's. Whatever goes wrong inside it is
a `CameraError` with a code of ours; nothing of libav's leaves it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Protocol
from urllib.parse import unquote, urlsplit

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from agent.core.clock import Clock, wait_s
from agent.core.login_record import Secret
from agent.core.login_tries import LoginTries, Trial
from agent.ingest import refusals
from agent.ingest.admission import Admission
from agent.ingest.readers import Readers

RECORDABLE_CODECS = ("h264", "hevc")
RECORDABLE_SOUND = ("aac",)  # MP4 has no place for G.711

# What libav and PyAV raise for bytes they can't make sense of (seen while fuzzing).
STRANGE_BYTES = (FFmpegError, OSError, ValueError, LookupError, ArithmeticError, MemoryError)


@dataclass(frozen=True, slots=True)
class TlsTrust:
    """Whom an rtsps:// camera must prove to be. Verification is off only where it is said.

    `ca_file` is a PEM file, empty for the authorities of the box's system. `host` is the name in
    the certificate where it isn't the one in the address.
    """

    ca_file: str = ""
    host: str = ""
    verify: bool = True


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """Where a stream is and how to get in. The password never leaves the worker.

    `door` decides who gets it; None: whoever is there. `tries` knows what became of it so far, and
    `trial` is of one connection.

    Audio is left out where the stream is opened, so that it is never even asked for, unless a
    setting signed by the center allows it (`audio`).
    """

    url: str
    username: str = ""
    password: str = ""
    tls: TlsTrust = TlsTrust()
    audio: bool = False
    door: Admission | None = field(default=None, compare=False, repr=False)
    tries: LoginTries | None = field(default=None, compare=False, repr=False)
    trial: Trial | None = field(default=None, compare=False, repr=False)

    @property
    def secret(self) -> Secret:
        """The login that is used there; one in the address itself where no other is given."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if self.username:
            return Secret(host, self.username, self.password)
        return Secret(host, unquote(parts.username or ""), unquote(parts.password or ""))


@dataclass(frozen=True, slots=True)
class Patience:
    """How long opening may take, and how long an open stream may be silent.

    `is_known`: video has come from there before, so it is a camera, whatever it says now.
    """

    open_s: float
    stall_s: float
    is_known: bool = False


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What is known of a stream once it is open. Sizes are 0 while unknown.

    `sound` is the track to be recorded with it, where the address allows that; `sound_fault` is
    the code of why there is none all the same.
    """

    codec: str
    width_px: int
    height_px: int
    time_base: Fraction
    sound: AudioStream | None = None
    sound_fault: str | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How a source may take its time: what comes may gather so long before it is read.

    `before_gathering` is called when all that came is handed on, and nothing more is for a while.
    """

    stop: threading.Event
    longest_s: Callable[[], float]
    before_gathering: Callable[[], None] = lambda: None

    def gather(self, at_most_s: float) -> None:
        """Let what comes gather; with no time for it, what came goes on all the same."""
        seconds = min(self.longest_s(), at_most_s)
        self.before_gathering()
        if seconds > 0:
            self.rest(seconds)

    def rest(self, seconds: float) -> None:
        """Wait, but not when all is to stop."""
        wait_s(self.stop, seconds)


OnSound = Callable[["Packet[AudioStream]"], None]


class Source(Protocol):
    """An open stream. Only the thread that opened it may use it."""

    @property
    def template(self) -> VideoStream:
        """The stream to copy the codec's parameters from when its packets are stored.

        Known once a key frame has come.
        """
        ...

    @property
    def facts(self) -> StreamFacts:
        """What is known by now: a size may come with the first key frame only."""
        ...

    @property
    def looks_after_itself(self) -> bool:
        """Whether it rests where its `Pace` allows that, and sees that the format stays."""
        ...

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Yield packets in decoding order until the stream ends. Raises `CameraError`."""
        ...

    def close(self) -> None: ...


def open_source(
    address: StreamAddress,
    patience: Patience,
    clock: Clock,
    on_sound: OnSound | None = None,
    pace: Pace | None = None,
    readers: Readers | None = None,
) -> Source:
    """Open what the address names: rtsp://, rtsps://, csi:// or a file. Raises `CameraError`.

    `on_sound` takes the packets of the sound track, where the address allows it; `readers`
    remembers which reader understands the camera.
    """
    scheme = urlsplit(address.url).scheme
    if scheme in ("rtsp", "rtsps"):
        pace = pace or Pace(threading.Event(), lambda: 0.0)
        return (readers or Readers()).open(address, patience, clock, on_sound, pace)
    if scheme == "csi":
        from agent.ingest.csi import CsiSource  # noqa: PLC0415 - picamera2 only on a Pi

        return CsiSource(address.url, patience)
    from agent.ingest.file import FileSource  # noqa: PLC0415

    return FileSource(address.url.removeprefix("file://"), clock)


def with_sound(facts: StreamFacts, container: InputContainer) -> StreamFacts:
    """Add the sound track of an open container to what is known of its video."""
    track = next(iter(container.streams.audio), None)
    if track is None:
        return replace(facts, sound_fault="camera.no_sound")
    if track.codec_context.name not in RECORDABLE_SOUND or not track.codec_context.extradata:
        return replace(facts, sound_fault="camera.sound_codec")
    return replace(facts, sound=track)


def video_of(container: InputContainer) -> tuple[VideoStream, StreamFacts]:
    """Return the video stream of an open container. Raises `CameraError` when it has none."""
    if not container.streams.video:
        raise refusals.no_video()
    stream = container.streams.video[0]
    context = stream.codec_context
    if context.name not in RECORDABLE_CODECS:
        raise refusals.other_codec(context.name)
    assert stream.time_base is not None  # noqa: S101 - every demuxer sets it
    facts = StreamFacts(context.name, context.width, context.height, stream.time_base)
    return stream, facts
