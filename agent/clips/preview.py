"""A preview any browser plays, of video it can't play itself (H.265): key frames only, as WebM.

Decodes one frame a GOP, so it costs little; runs in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
from av.packet import Packet
from av.video.stream import VideoStream

from agent.clips.export import ClipSource, in_range, packets_of, written_whole
from agent.clips.garbled import GARBLED
from agent.clips.given import Given
from agent.clips.holes import Hole

WIDTH_PX = 640
PLAYABLE_CODECS = frozenset({"h264"})  # what every browser plays


@dataclass(frozen=True, slots=True)
class Preview:
    """The preview file; its pictures keep the times they were taken at."""

    path: Path
    frames: int
    start_at: datetime
    end_at: datetime
    holes: tuple[Hole, ...] = ()  # what the disk did not give


def make_preview(
    sources: Sequence[ClipSource], since: datetime, until: datetime, out: Path
) -> Preview:
    """Write the key frames of [since, until) to `out` (.webm).

    Starts at the key frame that the range's first frame needs. Raises `StorageError`
    clip.nothing_recorded when there is none, clip.unreadable when none can be read,
    clip.not_written.
    """
    given = Given(sources, since, until)
    key_frames = _key_frames(sources, given, since, until)
    first = next(key_frames, None)
    if first is None:
        raise given.nothing()
    size, times = first[0], list[datetime]()
    with written_whole(out), av.open(str(out), "w", format="webm") as film:
        stream = film.add_stream("libvpx", rate=Fraction(30))
        stream.width = min(WIDTH_PX, size.width) & ~1
        stream.height = max(2, round(size.height * stream.width / size.width) & ~1)
        stream.pix_fmt = "yuv420p"
        stream.options = {"deadline": "realtime", "cpu-used": "8", "crf": "30"}
        stream.codec_context.time_base = Fraction(1, 1000)
        for frame, at in chain([first], key_frames):
            if times and at <= times[-1]:
                continue
            ready = frame.reformat(width=stream.width, height=stream.height, format="yuv420p")
            passed = at - times[0] if times else timedelta(0)
            ready.pts, ready.time_base = round(passed.total_seconds() * 1000), Fraction(1, 1000)
            film.mux(stream.encode(ready))
            times.append(at)
        film.mux(stream.encode(None))
    return Preview(out, len(times), times[0], times[-1], given.holes)


def _key_frames(
    sources: Sequence[ClipSource], given: Given, since: datetime, until: datetime
) -> Iterator[tuple[av.VideoFrame, datetime]]:
    for source in sources:
        with given.opened(source) as opened:
            if opened is None:
                continue
            frame: av.VideoFrame | None = None
            for dated in in_range(given.seen(packets_of(opened)), since, until):
                if dated.packet.is_keyframe:
                    frame = _picture(dated.packet)
                if frame is None:
                    given.lost(dated.at)
                    continue
                given.gave(dated.at, dated.until)
                if dated.packet.is_keyframe:
                    yield frame, dated.at


def _picture(key_frame: Packet[VideoStream]) -> av.VideoFrame | None:
    """Decode a key frame by itself; None when that can't be done."""
    decoder = key_frame.stream.codec_context
    try:
        frames = [*key_frame.decode(), *decoder.decode(None)]
    except GARBLED:
        return None
    finally:
        decoder.flush_buffers()
    return frames[0] if frames else None
