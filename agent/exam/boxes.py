"""Where people and things truly are in a clip: boxes by frame, read from MOT text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.contract.events import Region
from agent.core.errors import ExamError
from agent.messages.vision import Detection, TrackedObject

Floats = NDArray[np.float64]

_SAME_FRAME = 0.05  # of a frame: times in files are rounded
_OUTSIDE = 1.10  # boxes of people at the edge reach a little out of the picture


@dataclass(frozen=True, slots=True)
class TrueFrame:
    """Boxes (left, top, right, bottom) as fractions of the clip's picture, and identities."""

    boxes: Floats
    ids: NDArray[np.int64]


NOBODY = TrueFrame(np.zeros((0, 4)), np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True)
class PictureFit:
    """How the truth's picture lies in the clip's: scaled with its shape kept, and centred."""

    truth_px: tuple[int, int]
    clip_px: tuple[int, int]

    def fractions(self, boxes_px: Floats) -> Floats:
        """Turn x, y pairs in pixels of the truth's picture into fractions of the clip's."""
        truth, clip = np.array(self.truth_px, float), np.array(self.clip_px, float)
        scale = float((clip / truth).min())
        edge = (clip - truth * scale) / 2
        pairs = boxes_px.reshape(-1, 2) * scale + edge
        places: Floats = (pairs / clip).reshape(boxes_px.shape)
        return places


@dataclass(frozen=True, slots=True)
class BoxTruth:
    """The true boxes of one clip. `labels`: what the detector may call them."""

    frames: Mapping[int, TrueFrame]
    fps: float
    labels: frozenset[str]
    min_iou: float = 0.5

    @property
    def has_ids(self) -> bool:
        """Whether the truth follows each one by an identity."""
        return any((frame.ids >= 0).any() for frame in self.frames.values())

    @property
    def name(self) -> str:
        """What the boxes are called in a report."""
        return "vehicle" if "truck" in self.labels else "/".join(sorted(self.labels))

    def at(self, at_s: float) -> TrueFrame:
        """Return what is there `at_s` seconds into the clip."""
        # A faster clip repeats pictures: until the next one comes, the last one is shown.
        return self.frames.get(int(at_s * self.fps + _SAME_FRAME), NOBODY)

    def tracks_at(self, at_s: float) -> list[TrackedObject]:
        """Return the truth as a perfect tracker tells it: what rules make of it is true."""
        frame, label = self.at(at_s), min(self.labels)
        return [
            TrackedObject(int(own), label, 1.0, region_of(box))
            for box, own in zip(frame.boxes, frame.ids, strict=True)
        ]


def read_mot(
    path: Path, fit: PictureFit, fps: float, labels: frozenset[str], min_iou: float
) -> BoxTruth:
    """Read MOT text (`frame(1..),id,x,y,w,h,confidence,...`); rows of confidence 0 are left out.

    Raises `ExamError` exam.truth when it is no such text, or lies outside the picture.
    """
    rows = read_rows(path)
    corners = np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1)
    width_px, height_px = fit.truth_px
    if len(corners) and (
        corners[:, 2].max() > width_px * _OUTSIDE or corners[:, 3].max() > height_px * _OUTSIDE
    ):
        raise ExamError(
            "exam.truth_size",
            f"The boxes of {path.name} reach out of a picture of {width_px}x{height_px}.",
            hint="Say of which picture they are with --truth-size, as 768x576.",
        )
    places = fit.fractions(corners).clip(0.0, 1.0)
    numbers, ids = rows[:, 0].astype(int) - 1, rows[:, 1].astype(np.int64)
    frames = {
        int(number): TrueFrame(places[numbers == number], ids[numbers == number])
        for number in np.unique(numbers)
    }
    return BoxTruth(frames, fps, labels, min_iou)


def read_rows(path: Path) -> Floats:
    """Return the rows that count of a MOT text file."""
    try:
        text = path.read_text().replace(",", " ")
        lines = [line.split() for line in text.splitlines() if line.strip()]
        rows = np.array([[float(word) for word in line] for line in lines])
    except (OSError, ValueError) as error:
        raise _no_mot(path, str(error)) from error
    rows = rows.reshape(len(rows), -1)
    if rows.shape[1] < 6 and len(rows):
        raise _no_mot(path, f"{rows.shape[1]} columns")
    return rows[rows[:, 6] != 0] if rows.shape[1] > 6 else rows


def region_of(box: Floats) -> Region:
    """Return left, top, right, bottom as a region."""
    left, top, right, bottom = (float(side) for side in box)
    return Region(x=left, y=top, width=right - left, height=bottom - top)


def corners_of(seen: list[Detection] | list[TrackedObject]) -> Floats:
    """Return the regions of detections or tracks as left, top, right, bottom."""
    regions = [one.region for one in seen]
    return np.array([(r.x, r.y, r.x + r.width, r.y + r.height) for r in regions]).reshape(-1, 4)


def _no_mot(path: Path, why: str) -> ExamError:
    return ExamError(
        "exam.truth",
        f"{path.name} is no MOT ground truth: {why}.",
        hint="Each line is frame(1..),id,x,y,width,height[,confidence,...] in pixels.",
    )
