"""A time range of segments becomes one ordinary MP4, by packet copy, exact to one GOP.

Runs in a process of its own (`poleside clip export`), so neither a camera worker nor the core pays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from agent.clips.garbled import GARBLED, LONGEST_S
from agent.clips.given import Given, Opened
from agent.clips.holes import Hole
from agent.clips.sound import ClipSound, ClipSource
from agent.core.errors import StorageError

__all__ = [
    "Clip",
    "ClipSource",
    "Dated",
    "GopSource",
    "export_clip",
    "in_range",
    "packets_of",
    "sha256_of",
    "stream_clip",
    "written_whole",
]

_STREAMED = {
    "movflags": "frag_keyframe+empty_moov+default_base_moof",
    "frag_duration": "500000",
    "flush_packets": "1",
}
# What is later than its segment's end, or shown so long after it is decoded, has a garbled time.
_LATE, _LEAD_S = timedelta(seconds=1), 10


@dataclass(frozen=True, slots=True)
class GopSource:
    """Where a GOP of a clip came from: the segment, and how many GOPs are before it there."""

    path: Path
    number: int


@dataclass(frozen=True, slots=True)
class Dated:
    """A packet with its UTC time, and the GOP of its segment that it belongs to.

    It is shown up to `until` at least: as long as the file tells, or as the one before it was, by
    which a recorder tells where a segment ends. A camera may say 25 a second and send one.
    """

    packet: Packet[VideoStream]
    at: datetime
    until: datetime
    source: ClipSource
    gop: int


@dataclass(frozen=True, slots=True)
class Clip:
    """The exported file: what it really covers may start up to one GOP before what was asked."""

    path: Path
    start_at: datetime
    end_at: datetime
    frames: int
    codec: str
    size_bytes: int
    sha256: str
    gops: tuple[GopSource, ...]
    holes: tuple[Hole, ...] = ()  # what the disk did not give; gaps in the recording are others


def export_clip(sources: Sequence[ClipSource], since: datetime, until: datetime, out: Path) -> Clip:
    """Write [since, until) to `out` (.mp4) without re-encoding.

    Starts at the key frame that the range's first frame needs. Holes stay as long as
    they were. Raises `StorageError` clip.nothing_recorded when no frame of the range is on disk,
    clip.unreadable when no segment can be opened, clip.camera_changed, clip.not_written.
    """
    writer = _ClipWriter(out)
    with written_whole(out):
        try:
            given = _copy(sources, since, until, writer)
        finally:
            writer.close()
    if writer.first_at is None or writer.last_at is None:
        raise given.nothing()
    return Clip(
        path=out,
        start_at=writer.first_at,
        end_at=writer.last_at,
        frames=writer.frames,
        codec=writer.codec,
        size_bytes=out.stat().st_size,
        sha256=sha256_of(out),
        gops=tuple(writer.gops),
        holes=given.holes,
    )


@contextmanager
def written_whole(out: Path) -> Iterator[None]:
    """Leave no half a film behind. Raises `StorageError` clip.not_written."""
    try:
        yield
    except (FFmpegError, OSError) as error:
        _discard(out)
        raise StorageError(
            "clip.not_written",
            f"The clip {out.name} can't be written: {error}.",
            hint="Look whether the folder is there and has room.",
        ) from error
    except StorageError:
        _discard(out)
        raise


def _discard(out: Path) -> None:
    with suppress(OSError):  # an open file without a name (/proc/self/fd) goes by itself
        out.unlink(missing_ok=True)


def stream_clip(
    sources: Sequence[ClipSource], since: datetime, until: datetime, sink: BinaryIO
) -> tuple[Hole, ...]:
    """Write [since, until) to a pipe as fragmented MP4 while it is read; return what it lacks.

    A player shows the first picture before the rest is read. Raises as `export_clip` does, and
    `OSError` when the reader hangs up.
    """
    writer = _ClipWriter(sink)
    try:
        given = _copy(sources, since, until, writer)
    finally:
        writer.close()
    if writer.first_at is None:
        raise given.nothing()
    return given.holes


def _copy(
    sources: Sequence[ClipSource], since: datetime, until: datetime, writer: _ClipWriter
) -> Given:
    """Copy what the disk gives, and return what it does not, too."""
    given = Given(sources, since, until)
    for source in sources:
        with given.opened(source) as opened:
            if opened is None:
                continue
            writer.sound.begin(opened.container, opened.source, until)
            for dated in in_range(given.seen(packets_of(opened)), since, until):
                if writer.write(dated):
                    given.gave(dated.at, dated.until)
    return given


def in_range(packets: Iterator[Dated], since: datetime, until: datetime) -> Iterator[Dated]:
    """Yield one segment's share of [since, until), from the key frame its first frame needs."""
    early: list[Dated] = []
    for dated in packets:
        if dated.at >= until:
            return
        if dated.at < since:
            if dated.packet.is_keyframe:
                early.clear()
            early.append(dated)
            continue
        if not dated.packet.is_keyframe:
            yield from early
        early.clear()
        yield dated


def packets_of(opened: Opened) -> Iterator[Dated]:
    """Yield each packet with its UTC time; a torn end of an open segment just ends."""
    gop, last_dts = -1, None
    packets = opened.container.demux(opened.stream)
    while True:
        try:
            packet = next(packets, None)
        except GARBLED:
            return
        if packet is None or packet.is_corrupt:
            return
        if packet.dts is None or packet.size == 0 or packet.time_base is None:
            continue
        if last_dts is not None and packet.dts <= last_dts:
            opened.left_out.append(float(packet.dts * packet.time_base))
            continue  # time goes back in a garbled file alone
        if packet.pts is not None and abs(packet.pts - packet.dts) * packet.time_base > _LEAD_S:
            return
        if packet.duration and not 0 < packet.duration * packet.time_base < LONGEST_S:
            packet.duration = 0  # no muxer would take it
        ticks = max(packet.duration or 0, packet.dts - last_dts if last_dts is not None else 0)
        gop, last_dts = gop + packet.is_keyframe, packet.dts
        try:
            at = opened.source.start_at + timedelta(seconds=float(packet.dts * packet.time_base))
            until = at + timedelta(seconds=float(ticks * packet.time_base))
        except OverflowError:  # in no year that there is
            return
        if opened.source.end_at is not None and at > opened.source.end_at + _LATE:
            return
        yield Dated(packet, at, until, opened.source, gop)


class _ClipWriter:
    """Writes packets of several segments on one timeline, to a file or into a pipe."""

    def __init__(self, target: Path | BinaryIO) -> None:
        self._target = target
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._parameters = b""
        self._time_base: Fraction | None = None
        self.first_at: datetime | None = None
        self.last_at: datetime | None = None
        self.frames = 0
        self.codec = ""
        self.gops: list[GopSource] = []
        self.sound = ClipSound()
        self._last_dts = -1
        self._source: ClipSource | None = None
        self._shift_ticks = 0

    def write(self, dated: Dated) -> bool:
        """Write a packet; False before the first key frame, with which a clip begins."""
        packet, at = dated.packet, dated.at
        parameters = bytes(packet.stream.codec_context.extradata or b"")
        if self._stream is None:
            if not packet.is_keyframe:
                return False
            self._begin(packet.stream, parameters, at)
        assert self._container is not None  # noqa: S101 - begun above
        assert self._stream is not None  # noqa: S101 - begun above
        if parameters != self._parameters or packet.time_base != self._time_base:
            raise StorageError(
                "clip.camera_changed",
                f"The camera's encoder changed at {at:%Y-%m-%d %H:%M:%S} UTC.",
                hint="Ask for two clips: one before and one after that time.",
            )
        assert packet.dts is not None  # noqa: S101 - checked by the reader
        if dated.source is not self._source:
            self._begin_segment(dated, packet.dts)
        if packet.is_keyframe:
            self.gops.append(GopSource(dated.source.path, dated.gop))
        lead = (packet.pts if packet.pts is not None else packet.dts) - packet.dts
        packet.dts += self._shift_ticks
        packet.pts = packet.dts + max(0, lead)
        self._last_dts = packet.dts
        packet.stream = self._stream
        self.sound.copy_until(at)
        self._container.mux(packet)
        self.frames += 1
        self.last_at = at
        return True

    def _begin_segment(self, dated: Dated, first_dts: int) -> None:
        """Place a segment on the clip's timeline; inside it, times stay exact to the tick."""
        assert self.first_at is not None  # noqa: S101 - set with the first packet
        assert dated.packet.time_base is not None  # noqa: S101 - checked by the reader
        self._source = dated.source
        at_ticks = round((dated.at - self.first_at).total_seconds() / dated.packet.time_base)
        self._shift_ticks = max(at_ticks, self._last_dts + 1) - first_dts

    def _begin(self, source: VideoStream, parameters: bytes, at: datetime) -> None:
        is_file = isinstance(self._target, Path)
        self._container = av.open(
            str(self._target) if is_file else self._target,
            "w",
            format="mp4",
            options={"movflags": "faststart"} if is_file else _STREAMED,
        )
        self._stream = self._container.add_stream_from_template(source)
        self.sound.open_track(self._container, at)
        self._parameters, self._time_base = parameters, source.time_base
        self.codec = source.codec_context.name
        self.first_at = at

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
            self.sound.close()


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
