"""A time range of segments becomes one ordinary MP4, by packet copy, exact to one GOP.

Runs in a process of its own (`poleside clip export`), so neither a camera worker nor the core pays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from agent.core.errors import StorageError


@dataclass(frozen=True, slots=True)
class ClipSource:
    """One segment file that overlaps the range, oldest first, of one camera."""

    path: Path
    start_at: datetime


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


def export_clip(sources: Sequence[ClipSource], since: datetime, until: datetime, out: Path) -> Clip:
    """Write [since, until) to `out` (.mp4) without re-encoding.

    Starts at the last key frame at or before `since`. Raises `StorageError` clip.nothing_recorded
    when no frame of the range is on disk, clip.unreadable when no segment can be opened.
    """
    writer = _ClipWriter(out)
    scratch_frames: list[tuple[Packet[VideoStream], datetime]] = []
    try:
        for source in sources:
            for packet, at in _packets(source):
                if at >= until:
                    break
                if at < since:
                    if packet.is_keyframe:
                        scratch_frames.clear()
                    scratch_frames.append((packet, at))
                    continue
                for early, early_at in _from_key_frame(scratch_frames):
                    writer.write(early, early_at)
                scratch_frames.clear()
                writer.write(packet, at)
    finally:
        writer.close()
    if writer.first_at is None or writer.last_at is None:
        out.unlink(missing_ok=True)
        raise StorageError(
            "clip.nothing_recorded",
            f"Nothing was recorded from {since:%Y-%m-%d %H:%M:%S} to {until:%H:%M:%S} UTC.",
            hint="Look at the timeline for gaps and ask for a range inside a recorded part.",
        )
    return Clip(
        path=out,
        start_at=writer.first_at,
        end_at=writer.last_at,
        frames=writer.frames,
        codec=writer.codec,
        size_bytes=out.stat().st_size,
        sha256=_sha256(out),
    )


def _from_key_frame(
    frames: list[tuple[Packet[VideoStream], datetime]],
) -> list[tuple[Packet[VideoStream], datetime]]:
    return frames if frames and frames[0][0].is_keyframe else []


def _packets(source: ClipSource) -> Iterator[tuple[Packet[VideoStream], datetime]]:
    """Yield each packet with its UTC time; a torn end of an open segment just ends."""
    try:
        container = av.open(source.path)
    except (FFmpegError, OSError):
        return
    with container:
        stream = container.streams.video[0]
        try:
            for packet in container.demux(stream):
                if packet.dts is None or packet.size == 0 or packet.time_base is None:
                    continue
                media_s = float(packet.dts * packet.time_base)
                yield packet, source.start_at + timedelta(seconds=media_s)
        except FFmpegError:
            return


class _ClipWriter:
    """Writes packets of several segments on one timeline."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._parameters = b""
        self.first_at: datetime | None = None
        self.last_at: datetime | None = None
        self.frames = 0
        self.codec = ""
        self._last_dts = -1

    def write(self, packet: Packet[VideoStream], at: datetime) -> None:
        source = packet.stream
        parameters = bytes(source.codec_context.extradata or b"")
        if self._stream is None:
            if not packet.is_keyframe:
                return
            self._begin(source, parameters, at)
        assert self._container is not None  # noqa: S101 - begun above
        assert self._stream is not None  # noqa: S101 - begun above
        assert self.first_at is not None  # noqa: S101 - begun above
        if parameters != self._parameters:
            raise StorageError(
                "clip.camera_changed",
                f"The camera's encoder changed at {at:%Y-%m-%d %H:%M:%S} UTC.",
                hint="Ask for two clips: one before and one after that time.",
            )
        assert packet.dts is not None  # noqa: S101 - checked by the reader
        assert packet.time_base is not None  # noqa: S101 - checked by the reader
        shift = (packet.pts if packet.pts is not None else packet.dts) - packet.dts
        dts = round((at - self.first_at).total_seconds() / packet.time_base)
        packet.dts = max(dts, self._last_dts + 1)
        packet.pts = packet.dts + max(0, shift)
        self._last_dts = packet.dts
        packet.stream = self._stream
        self._container.mux(packet)
        self.frames += 1
        self.last_at = at

    def _begin(self, source: VideoStream, parameters: bytes, at: datetime) -> None:
        self._container = av.open(
            str(self._path), "w", format="mp4", options={"movflags": "faststart"}
        )
        self._stream = self._container.add_stream_from_template(source)
        self._parameters = parameters
        self.codec = source.codec_context.name
        self.first_at = at

    def close(self) -> None:
        if self._container is not None:
            self._container.close()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
