"""What the box saw in a clip, drawn onto a film or a picture: zones, tracks, and what held when."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError
from av.video.stream import VideoStream

from agent.core.errors import ExamError
from agent.exam.drawing import ALARM, Canvas
from agent.exam.evidence_pictures import draw_camera, draw_tracks, look_at
from agent.exam.sitting import Sitting, frames_of
from agent.ingest.jpeg import encode_jpeg

PICTURES = {".jpg", ".jpeg"}
FILMS = {".mp4", ".mkv", ".webm"}
_MOST_BYTES, _MOST_WIDTH_PX = 1_000_000, 1920


def draw(sitting: Sitting, out: Path, tell: Callable[[float], None]) -> int:
    """Write a film of the whole clip, or one picture; return how many frames.

    The picture is of the first alarm; of the clip's busiest look when there was none. Raises
    `ExamError` exam.out.
    """
    suffix = out.suffix.lower()
    if suffix not in PICTURES | FILMS:
        raise ExamError(
            "exam.out",
            f"{out.name} is neither a film nor a picture.",
            hint=f"Let it end in one of {', '.join(sorted(FILMS | PICTURES))}.",
        )
    try:
        return _picture(sitting, out) if suffix in PICTURES else _film(sitting, out, tell)
    except (OSError, FFmpegError) as error:
        raise ExamError(
            "exam.out", f"{out} can't be written: {error}.", hint="Give another place with --out."
        ) from error


def _picture(sitting: Sitting, out: Path) -> int:
    busiest = max(sitting.looks, key=lambda look: len(look.tracks), default=None)
    wanted_s = min(
        (alarm.at_s for alarm in sitting.alarms), default=busiest.at_s if busiest else 0.0
    )
    for at_s, frame in frames_of(sitting.clip):
        if at_s >= wanted_s - 1e-6:
            jpeg, *_ = encode_jpeg(_drawn(sitting, at_s, frame), _MOST_WIDTH_PX, _MOST_BYTES)
            out.write_bytes(jpeg)
            return 1
    return 0


def _film(sitting: Sitting, out: Path, tell: Callable[[float], None]) -> int:
    clip, written = sitting.clip, 0
    rate = Fraction(clip.fps).limit_denominator(1001)
    with av.open(str(out), "w") as container:
        codec = "libvpx" if out.suffix.lower() == ".webm" else "libx264"
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, VideoStream)  # noqa: S101 - both are video
        stream.width, stream.height = clip.width_px & ~1, clip.height_px & ~1
        stream.pix_fmt = "yuv420p"
        for at_s, frame in frames_of(clip):
            if at_s >= sitting.duration_s:
                break
            drawn = _drawn(sitting, at_s, frame)
            drawn.pts, drawn.time_base = written, 1 / rate
            container.mux(stream.encode(drawn))
            written += 1
            tell(written / max(1, clip.frames))
        container.mux(stream.encode())
    return written


def _drawn(sitting: Sitting, at_s: float, frame: av.VideoFrame) -> av.VideoFrame:
    canvas = Canvas(frame)
    holding = [
        one
        for one in sitting.alarms
        if one.at_s <= at_s and (one.end_s is None or at_s < one.end_s)
    ]
    draw_camera(canvas, sitting.camera, frozenset(one.rule_id for one in holding))
    draw_tracks(canvas, look_at(sitting, at_s))
    since = [f"{one.behaviour} {one.rule_id} since {one.at_s:.1f} s" for one in holding]
    canvas.caption([f"{sitting.camera.camera_id} {at_s:.1f} s", *counted(sitting, at_s)])
    for number, line in enumerate(since):
        canvas.text(line, (2, 40 + 20 * number), ALARM)
    return canvas.frame()


def counted(sitting: Sitting, at_s: float) -> list[str]:
    """Return what rules that count had counted by then."""
    told = [hit for hit in sitting.hits if hit.measures]
    last = told[: bisect_right([hit.mono_s for hit in told], at_s)]
    newest = {hit.rule_id: hit.measures for hit in last}
    return [
        f"{rule_id}: " + " ".join(f"{name} {value:g}" for name, value in own.items())
        for rule_id, own in newest.items()
    ]
