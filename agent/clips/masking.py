"""A clip made over so that people and faces found in it are blurred for good, but who is meant.

Every picture is looked at. Whoever is found is covered from a little before he was seen to a
little after, and while he is lost between two looks; a face also where no body is seen, as behind
a car's window. Who is meant is a track: where two people cross so closely that the tracker takes
one for the other, the wrong one may stay clear. Runs in a process of its own (`poleside clip
masked`) that takes only the time that nobody else wants.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal, cast

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from msgspec import Struct
from numpy.typing import NDArray

from agent.clips.pictures import Pictures, Span
from agent.contract.events import Region
from agent.core.errors import StorageError

HOLD_S = 0.5  # covered so long before and after each sight of somebody
_LOST_S = 3.0  # who is lost no longer than this was there all the time
_WIDER, _SAME = 0.15, 0.4
_HEAD_DOWN, _HEAD = (
    0.12,
    0.35,
)  # of a standing body: how far down its face is; how far off it may be
_BLOCKS = 24  # across the picture: of a face that fills a quarter of it six are left
_ENCODER, _OPTIONS = "libx264", {"preset": "veryfast", "crf": "23"}

Point = tuple[float, float]
_Key = tuple[bool, int]  # whether it is a face, its track
Plane = NDArray[np.uint8]
Cover = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Found:
    """Somebody, or a face, in one picture; `track_id` once it is followed."""

    region: Region
    track_id: int | None = None
    is_face: bool = False


Find = Callable[[VideoFrame, float], Sequence[Found]]  # of one picture, at its second


@dataclass(frozen=True, slots=True)
class Wanted:
    """What stays to be seen: inside `keep`, and who stands at `target` (second, x, y).

    `outside` "all": all else is blurred, whether somebody is found there or not.
    """

    keep: tuple[Point, ...] = ()
    target: tuple[float, float, float] | None = None
    outside: Literal["people", "all"] = "people"


class MaskedTrack(Struct, frozen=True, kw_only=True):
    """Somebody, or a face, that was covered, from when to when (seconds of the clip)."""

    what: Literal["person", "face"] = "person"
    track_id: int
    from_s: float
    to_s: float
    looks: int


class Ledger(Struct, frozen=True, kw_only=True):
    """What was covered. It goes with the clip, in its `comment`, and with the reply.

    `regions` were covered in all, `faces` of them because a face was seen there. `undecoded` are
    the seconds of the clip whose pictures could not be looked at, and so are left out.
    """

    frames: int
    masked_frames: int
    regions: int
    faces: int
    tracks: tuple[MaskedTrack, ...]
    target_frames: int
    keep: tuple[Point, ...]
    outside: str
    undecoded: tuple[Span, ...] = ()


@dataclass(slots=True)
class _Looks:
    """All that was seen, by the picture's second."""

    seconds: list[float] = field(default_factory=list)
    found: list[Sequence[Found]] = field(default_factory=list)
    undecoded: tuple[Span, ...] = ()


def mask_clip(
    clip: Path, out: Path, wanted: Wanted, find: Find, note: Callable[[Ledger], str]
) -> Ledger:
    """Write `clip` to `out` (.mp4, H.264, no sound), covered; `note` makes its comment.

    Raises `StorageError` clip.no_target when nobody stands where the target should,
    clip.unreadable and clip.not_masked; then there is no file.
    """
    try:
        looks = _look(clip, find)
        if not looks.seconds:
            raise StorageError(
                "clip.unreadable",
                "No picture of this time can be decoded.",
                hint="Ask for another time, or for another stream.",
            )
        target = _target(looks, wanted)
        covers, ledger = _covers(looks, wanted, target)
        _write(clip, out, wanted, covers, note(ledger))
    except (FFmpegError, OSError, ValueError) as error:  # ValueError: a picture of another size
        out.unlink(missing_ok=True)
        raise StorageError(
            "clip.not_masked",
            f"The clip can't be masked: {error}.",
            hint="Look whether the folder has room; ask for a shorter clip.",
        ) from error
    return ledger


def _look(clip: Path, find: Find) -> _Looks:
    looks = _Looks()
    pictures = Pictures(clip)
    for frame, at_s in pictures:
        looks.seconds.append(at_s)
        looks.found.append(find(frame, at_s))
    looks.undecoded = pictures.undecoded
    return looks


def _target(looks: _Looks, wanted: Wanted) -> int | None:
    """Return the track that stands at the target, at the look nearest to its second."""
    if wanted.target is None:
        return None
    at_s, x, y = wanted.target
    for number in sorted(range(len(looks.seconds)), key=lambda n: abs(looks.seconds[n] - at_s)):
        if abs(looks.seconds[number] - at_s) > HOLD_S:
            break
        there = [
            one
            for one in looks.found[number]
            if one.track_id is not None and not one.is_face and _holds(one.region, x, y)
        ]
        if there:
            nearest = min(there, key=lambda one: one.region.width * one.region.height)
            return nearest.track_id
    raise StorageError(
        "clip.no_target",
        "Nobody is seen where the target should stand.",
        hint="Give a moment at which the person is seen well, and a point on the body.",
    )


def _covers(looks: _Looks, wanted: Wanted, target: int | None) -> tuple[list[list[Region]], Ledger]:
    """Return what is covered in each picture, and the account of it."""
    others: list[list[Region]] = [[] for _ in looks.seconds]
    spans: dict[_Key, list[int]] = defaultdict(list)
    last: dict[_Key, tuple[int, Region]] = {}
    regions = faces = target_frames = 0
    for number, found in enumerate(looks.found):
        kept = [] if target is None else _of_target(found, target)
        target_frames += bool(kept)
        for one in found:
            if one in kept:
                continue
            regions += 1
            faces += one.is_face
            others[number].append(one.region)
            if one.track_id is not None:
                key = one.is_face, one.track_id
                spans[key].append(number)
                _bridge(others, looks.seconds, last.get(key), number, one.region)
                last[key] = number, one.region
    held = _held(others, looks.seconds)
    tracks = tuple(
        MaskedTrack(
            what="face" if is_face else "person",
            track_id=track_id,
            from_s=round(looks.seconds[numbers[0]], 2),
            to_s=round(looks.seconds[numbers[-1]], 2),
            looks=len(numbers),
        )
        for (is_face, track_id), numbers in sorted(spans.items())
    )
    is_all = wanted.outside == "all"
    return held, Ledger(
        frames=len(held),
        masked_frames=len(held) if is_all else sum(map(bool, held)),
        regions=regions,
        faces=faces,
        tracks=tracks,
        target_frames=target_frames,
        keep=wanted.keep,
        outside=wanted.outside,
        undecoded=looks.undecoded,
    )


def _of_target(found: Sequence[Found], target: int) -> list[Found]:
    """Return the target's track, the one sight it was made of, and its face.

    All others have their own, and a face beside the target's is somebody else's.
    """
    kept = [one for one in found if one.track_id == target and not one.is_face]
    if kept:
        own = kept[0].region
        fresh = [one for one in found if one.track_id is None and not one.is_face]
        same = max(fresh, key=lambda one: _overlap(one.region, own), default=None)
        if same is not None and _overlap(same.region, own) > _SAME:
            kept.append(same)
        faces = [one for one in found if one.is_face]
        nearest = min(faces, key=lambda one: _from_head(one.region, own), default=None)
        if nearest is not None and _from_head(nearest.region, own) < _HEAD:
            kept += [one for one in faces if _overlap(one.region, nearest.region) > _SAME]
    return kept


def _from_head(face: Region, body: Region) -> float:
    """Return how far a face is from where a body has it, as a share of the body."""
    x, y = face.x + face.width / 2, face.y + face.height / 2
    head_x, head_y = body.x + body.width / 2, body.y + _HEAD_DOWN * body.height
    return math.hypot((x - head_x) / body.width, (y - head_y) / body.height)


def _bridge(
    others: list[list[Region]],
    seconds: list[float],
    before: tuple[int, Region] | None,
    number: int,
    region: Region,
) -> None:
    """Cover who was lost between two looks, on the straight way."""
    if before is None or seconds[number] - seconds[before[0]] > _LOST_S:
        return
    first, was = before
    for between in range(first + 1, number):
        share = (between - first) / (number - first)
        mixed = (a + (b - a) * share for a, b in zip(_corners(was), _corners(region), strict=True))
        others[between].append(Region(*mixed))


def _held(others: list[list[Region]], seconds: list[float]) -> list[list[Region]]:
    held, begin, end = [], 0, 0
    for at_s in seconds:
        while seconds[begin] < at_s - HOLD_S:
            begin += 1
        while end < len(seconds) and seconds[end] <= at_s + HOLD_S:
            end += 1
        held.append([region for found in others[begin:end] for region in found])
    return held


def _write(clip: Path, out: Path, wanted: Wanted, covers: list[list[Region]], comment: str) -> None:
    blur = _Blur()
    keep: Cover | None = None
    with av.open(str(out), "w", options={"movflags": "faststart"}) as target:
        target.metadata["comment"] = comment
        stream: VideoStream | None = None
        for (frame, _), regions in zip(Pictures(clip), covers, strict=True):
            if stream is None:
                stream = cast("VideoStream", target.add_stream(_ENCODER, options=_OPTIONS))
                stream.width, stream.height = frame.width, frame.height
                stream.pix_fmt, stream.codec_context.thread_count = "yuv420p", 1
                stream.codec_context.time_base = frame.time_base or Fraction(1, 90_000)
                keep = _inside(wanted.keep, frame.width, frame.height)
            cover = _cover(regions, wanted, keep, frame.width, frame.height)
            target.mux(stream.encode(blur.blurred(frame, cover)))
        if stream is not None:
            target.mux(stream.encode(None))


class _Blur:
    """Puts the mean of large blocks where a picture is covered: nothing leads back from that."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def blurred(self, frame: VideoFrame, cover: Cover) -> VideoFrame:
        plain = self._to(frame, frame.width, frame.height, Interpolation.POINT)
        pts, time_base = frame.pts, frame.time_base
        if cover.any():
            height = max(2, round(_BLOCKS * frame.height / frame.width))
            small = self._to(plain, _BLOCKS, height + height % 2, Interpolation.AREA)
            coarse = self._to(small, frame.width, frame.height, Interpolation.POINT)
            planes, blocks = plain.to_ndarray(), coarse.to_ndarray()
            covered = _as_yuv420p(cover)
            planes[covered] = blocks[covered]
            plain = VideoFrame.from_ndarray(planes, format="yuv420p")
        plain.pts, plain.time_base = pts, time_base
        plain.pict_type = 0
        return plain

    def _to(self, frame: VideoFrame, width: int, height: int, way: Interpolation) -> VideoFrame:
        return self._reformatter.reformat(
            frame, width=width, height=height, format="yuv420p", interpolation=way, threads=1
        )


def _as_yuv420p(cover: Cover) -> Cover:
    """Return which bytes of the three planes, one under the other, a cover of pixels covers."""
    height, width = cover.shape
    chroma = cover.reshape(height // 2, 2, width // 2, 2).any(axis=(1, 3))
    return np.concatenate([cover.ravel(), chroma.ravel(), chroma.ravel()]).reshape(-1, width)


def _cover(
    regions: Sequence[Region], wanted: Wanted, keep: Cover | None, width: int, height: int
) -> Cover:
    cover = np.full((height, width), wanted.outside == "all")
    for one in regions:
        more_x, more_y = one.width * _WIDER, one.height * _WIDER
        left, right = one.x - more_x, one.x + one.width + more_x
        top, foot = one.y - more_y, one.y + one.height + more_y
        rows = slice(max(0, int(top * height)), max(0, int(foot * height) + 1))
        cover[rows, max(0, int(left * width)) : max(0, int(right * width) + 1)] = True
    if keep is not None:
        cover &= ~keep
    return cover


def _inside(polygon: Sequence[Point], width: int, height: int) -> Cover | None:
    """Return which pixels lie inside, by the even-odd rule."""
    if not polygon:
        return None
    x = (np.arange(width) + 0.5) / width
    y = ((np.arange(height) + 0.5) / height)[:, None]
    inside = np.zeros((height, width), np.bool_)
    for (ax, ay), (bx, by) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if ay != by:
            crosses = (ay > y) != (by > y)
            inside ^= crosses & (x < ax + (y - ay) / (by - ay) * (bx - ax))
    return inside


def _holds(region: Region, x: float, y: float) -> bool:
    return region.x <= x <= region.x + region.width and region.y <= y <= region.y + region.height


def _corners(region: Region) -> tuple[float, float, float, float]:
    return region.x, region.y, region.width, region.height


def _overlap(a: Region, b: Region) -> float:
    """Return the share of both that they have in common."""
    wide = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    high = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    both = max(0.0, wide) * max(0.0, high)
    return both / max(1e-9, a.width * a.height + b.width * b.height - both)
