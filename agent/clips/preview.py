"""A preview any browser plays, of video it can't play itself (H.265): key frames only, as WebM.

Decodes one frame a GOP, so it costs little; runs in a process of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
from av.error import FFmpegError

from agent.clips.export import ClipSource, written_whole
from agent.core.errors import StorageError

WIDTH_PX = 640
PLAYABLE_CODECS = frozenset({"h264"})  # what every browser plays


@dataclass(frozen=True, slots=True)
class Preview:
    """The preview file; its pictures keep the times they were taken at."""

    path: Path
    frames: int
    start_at: datetime
    end_at: datetime


def make_preview(
    sources: Sequence[ClipSource], since: datetime, until: datetime, out: Path
) -> Preview:
    """Write the key frames of [since, until) to `out` (.webm).

    Raises `StorageError` clip.nothing_recorded when there is none, clip.not_written.
    """
    key_frames = _key_frames(sources, since, until)
    first = next(key_frames, None)
    if first is None:
        raise StorageError(
            "clip.nothing_recorded",
            f"No picture was recorded from {since:%Y-%m-%d %H:%M:%S} to {until:%H:%M:%S} UTC.",
            hint="Look at the timeline for gaps and ask for a range inside a recorded part.",
        )
    size, times = first[0], list[datetime]()
    with written_whole(out), av.open(str(out), "w", format="webm") as film:
        stream = film.add_stream("libvpx", rate=Fraction(30))
        stream.width = min(WIDTH_PX, size.width) & ~1
        stream.height = max(2, round(size.height * stream.width / size.width) & ~1)
        stream.pix_fmt = "yuv420p"
        stream.options = {"deadline": "realtime", "cpu-used": "8", "crf": "30"}
        stream.codec_context.time_base = Fraction(1, 1000)
        for frame, at in chain([first], key_frames):
            ready = frame.reformat(width=stream.width, height=stream.height, format="yuv420p")
            passed = at - times[0] if times else timedelta(0)
            ready.pts, ready.time_base = round(passed.total_seconds() * 1000), Fraction(1, 1000)
            film.mux(stream.encode(ready))
            times.append(at)
        film.mux(stream.encode(None))
    return Preview(out, len(times), times[0], times[-1])


def _key_frames(
    sources: Sequence[ClipSource], since: datetime, until: datetime
) -> Iterator[tuple[av.VideoFrame, datetime]]:
    for source in sources:
        try:
            container = av.open(str(source.path))
        except (FFmpegError, OSError):  # deleted meanwhile, or open and without a whole fragment
            continue
        with container:
            stream = container.streams.video[0]
            stream.codec_context.skip_frame = "NONKEY"
            try:
                for frame in container.decode(stream):
                    if frame.pts is None or frame.time_base is None:
                        continue
                    offset = timedelta(seconds=float(frame.pts * frame.time_base))
                    if since <= source.start_at + offset < until:
                        yield frame, source.start_at + offset
            except FFmpegError:
                continue  # a torn end: what came before counts
