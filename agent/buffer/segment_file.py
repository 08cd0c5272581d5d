"""One fragmented MP4 file: written by packet copy, playable at every moment.

Its head is libav's, its fragments are our own (`fragments`): one holds what came together. Written
by `os.writev`, so that a full disk is an `OSError` with its errno and every byte is counted.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from agent.buffer.fragments import Fragments, units_between_start_codes, with_lengths
from agent.buffer.sound_track import SoundTrack

# No more waits to be written: half a second is what a kill may cost, and two with `sync_s` a power
# cut. Whoever reads in handfuls flushes each.
FRAGMENT_S = 0.48

_MUX_OPTIONS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
_BOX_HEADER_BYTES = 8
_MOST_PIECES = 1024  # the kernel takes no more at once (IOV_MAX)
_WHOLE_AFTER = (b"mdat", b"mfra")  # a fragment; the index that ends a finished file
_STORED = 1  # the first byte of avcC and hvcC: such samples have lengths, others start codes

OPEN_SUFFIX = ".open.mp4"


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the first fragment, and the length of each track's ticks."""

    data: bytes
    ticks: tuple[Fraction, ...]


class SegmentFile:
    """A segment being written. Only the thread that made it calls it, but for `sync`."""

    def __init__(
        self,
        path: Path,
        template: VideoStream,
        sound: AudioStream | None = None,
        head: Head | None = None,
    ) -> None:
        """`head`: that of an earlier segment of the same run, for it takes a while to make."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        assert template.time_base is not None  # noqa: S101 - known once the stream is open
        self._time_base: Fraction = template.time_base
        self.head = head or _head(template, sound)
        self._unwritten, ticks = self.head.data, self.head.ticks
        self._per_tick = self._time_base / ticks[0]
        self._fragments = Fragments(len(ticks))
        self._sound = SoundTrack(self._fragments, ticks[1]) if len(ticks) > 1 else None
        self._has_start_codes = (template.codec_context.extradata or b"\0")[0] != _STORED
        self._fragment_ticks = FRAGMENT_S / float(ticks[0])
        self._us_per_tick = self._time_base.numerator * 1_000_000, self._time_base.denominator
        self.size_bytes = 0
        self.frames = 0
        self._base_dts: int | None = None
        self._last_dts = 0
        self._frame_ticks = 0
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)

    def mux(self, packet: Packet[VideoStream]) -> None:
        """Take one packet in; its times become relative to the segment's start. Raises `OSError`.

        MP4 wants each time later than the one before: a repeated one is moved on by a tick.
        """
        assert packet.dts is not None  # noqa: S101 - the session drops packets without
        if self._base_dts is None:
            self._base_dts = packet.dts
        dts = packet.dts - self._base_dts
        if self.frames:
            dts = max(dts, self._last_dts + 1)
            self._frame_ticks = dts - self._last_dts
        self._last_dts = dts
        pts = max((packet.pts if packet.pts is not None else packet.dts) - self._base_dts, dts)
        ticks = packet.duration or self._frame_ticks
        if self._per_tick != 1:
            dts, pts, ticks = (int(time * self._per_tick) for time in (dts, pts, ticks))
        begins = self._fragments.begins
        if begins is not None and dts + ticks - begins > self._fragment_ticks:
            self.flush()
        data: bytes | memoryview = memoryview(packet)
        if self._has_start_codes:
            data = with_lengths(units_between_start_codes(bytes(packet)))
        self._fragments.add(data, dts, pts, is_key=packet.is_keyframe, ticks=ticks)
        self.frames += 1

    def mux_sound(self, packet: Packet[AudioStream]) -> None:
        """Take one packet of sound in, at its place beside the video."""
        if self._sound is not None and self._base_dts is not None:
            base_s, now_s = (
                float(dts * self._time_base)
                for dts in (self._base_dts, self._base_dts + self._last_dts)
            )
            self._sound.mux(packet, base_s, now_s)

    def flush(self) -> None:
        """Write what waits: from here on it survives this process. Raises `OSError`."""
        head, self._unwritten = self._unwritten, b""
        self._write([head, *self._fragments.take(self.size_bytes + len(head))])

    def _write(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Write the pieces one behind the other, without putting them together before."""
        left = [memoryview(piece) for piece in pieces if piece]
        while left:
            written = os.writev(self._fd, left[:_MOST_PIECES])
            self.size_bytes += written
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if written:
                left[0] = left[0][written:]

    @property
    def duration_us(self) -> int:
        """Media time from the first frame to the end of the last one."""
        if not self.frames:
            return 0
        us, ticks = self._us_per_tick  # no Fraction: it is asked for with each key frame
        return round((self._last_dts + self._frame_ticks) * us / ticks)

    def sync(self) -> None:
        """Push what is written to the medium. Safe from another thread; raises `OSError`."""
        os.fdatasync(self._fd)

    def finish(self, final_path: Path) -> None:
        """Write the rest, fsync, rename into place, fsync the folder. Raises `OSError`."""
        try:
            self.flush()
            self._write([self._fragments.index()])
            os.fsync(self._fd)
        finally:
            os.close(self._fd)
        self.path.rename(final_path)
        sync_folder(final_path.parent)

    def abandon(self) -> None:
        """Close without promising anything: the disk refused. What was written stays."""
        with contextlib.suppress(OSError):  # the very fault that made us give up
            self.flush()
        os.close(self._fd)


def _head(template: VideoStream, sound: AudioStream | None) -> Head:
    """Return what libav puts before the first fragment."""
    written = io.BytesIO()
    with av.open(written, "w", format="mp4", options=_MUX_OPTIONS) as container:
        video = container.add_stream_from_template(template)
        _describe(video, template)
        streams = [video, *([container.add_stream_from_template(sound)] if sound else [])]
        container.start_encoding()
        ticks = [stream.time_base for stream in streams]
    assert None not in ticks  # noqa: S101 - the muxer has chosen them
    told = tuple(tick for tick in ticks if tick is not None)
    return Head(_up_to(written.getvalue(), b"moov"), told)


def _up_to(data: bytes, last: bytes) -> bytes:
    """Return the top-level boxes up to the one of that name."""
    at = 0
    while at < len(data):
        name = data[at + 4 : at + _BOX_HEADER_BYTES]
        at += int.from_bytes(data[at : at + 4], "big")
        if name == last:
            break
    return data[:at]


def _describe(stream: VideoStream, template: VideoStream) -> None:
    """Take over what was learnt of the video after its stream was opened: PyAV copies no more."""
    now, told = stream.codec_context, template.codec_context
    if now.extradata != told.extradata:
        now.extradata = told.extradata
        now.width, now.height = told.width, told.height


def salvage(path: Path) -> tuple[Path, int, int, int]:
    """Keep what really got into a file that the disk refused to finish.

    Returns (path, frames, duration_us, bytes); without a frame the file is gone. Raises `OSError`.
    """
    final = final_path(path)
    if final.exists():  # it was refused after the rename
        path = final
    cut_torn_end(path)
    size_bytes = path.stat().st_size
    frames, duration_us = probe(path)
    if frames:
        path = path.rename(final)
    else:
        path.unlink()
    return path, frames, duration_us, size_bytes


def cut_torn_end(path: Path) -> None:
    """Cut off what comes behind the last whole fragment: a player stumbles over half a frame.

    Walks the file's top-level boxes (ISO/IEC 14496-12 section 4.2): ftyp moov (moof mdat)* mfra.
    """
    whole_bytes = at = 0
    size_bytes = path.stat().st_size
    with path.open("r+b") as file:
        while at + _BOX_HEADER_BYTES <= size_bytes:
            file.seek(at)
            header = file.read(_BOX_HEADER_BYTES)
            length = int.from_bytes(header[:4], "big")
            if length < _BOX_HEADER_BYTES or at + length > size_bytes:
                break
            at += length
            if header[4:] in _WHOLE_AFTER:
                whole_bytes = at
        file.truncate(whole_bytes)


def probe(path: Path) -> tuple[int, int]:
    """Return (frames, duration_us) of what a file shows; (0, 0) when it shows nothing.

    Raises `OSError` when the disk refuses: then nobody knows what it holds.
    """
    frames, first, last, ticks = 0, None, 0, 0
    base = None
    try:
        with av.open(path) as container:
            stream = container.streams.video[0]
            base = stream.time_base
            for packet in container.demux(stream):
                if packet.dts is None or packet.size == 0:
                    continue
                if packet.is_corrupt:  # torn in the middle of a frame
                    break
                if first is None:
                    first = packet.dts
                else:
                    ticks = packet.dts - first - last
                last = packet.dts - first
                frames += 1
    except OSError:
        raise
    except (FFmpegError, IndexError):
        pass  # a torn last fragment: what was counted until here plays
    if not frames or base is None:
        return (0, 0)
    return frames, round((last + ticks) * base * 1_000_000)


def open_name(stream: str, run_id: int, at: datetime) -> str:
    """Return the path, below a camera's `video`, of a segment that begins `at`."""
    clock = f"{at:%H%M%S}{at.microsecond // 1000:03d}"
    return f"{at:%Y-%m-%d}/{at:%H}/{stream}-{run_id:06d}-{clock}{OPEN_SUFFIX}"


def final_path(path: Path) -> Path:
    """Return the name that a segment gets once nothing more is written to it."""
    return path.with_name(path.name.removesuffix(OPEN_SUFFIX) + ".mp4")


def sync_folder(folder: Path) -> None:
    """Make names in `folder` durable. Raises `OSError`."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
