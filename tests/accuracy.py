"""How good detections and tracks are against ground truth: AP, precision, recall, IDF1."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.detect.nanodet import overlaps


@dataclass(frozen=True)
class Truth:
    """Boxes (left, top, right, bottom as fractions) and identities of one frame."""

    boxes: np.ndarray
    ids: np.ndarray


def read_mot(path: Path, width_px: int, height_px: int) -> dict[int, Truth]:
    """Read MOT ground truth: frame number (from 0) to what stands in it."""
    rows = np.loadtxt(path, delimiter=",", ndmin=2)
    size = np.array([width_px, height_px] * 2)
    return {
        int(number) - 1: Truth(
            np.concatenate([own[:, 2:4], own[:, 2:4] + own[:, 4:6]], axis=1) / size,
            own[:, 1].astype(int),
        )
        for number in np.unique(rows[:, 0])
        for own in [rows[rows[:, 0] == number]]
    }


def boxes_of(seen: Sequence) -> np.ndarray:
    """Return the regions of detections or tracks as left, top, right, bottom."""
    return np.array(
        [(r.x, r.y, r.x + r.width, r.y + r.height) for r in (one.region for one in seen)]
    ).reshape(-1, 4)


@dataclass(frozen=True)
class Matches:
    """All detections of a clip, best first: their score and whether they hit a true box."""

    scores: np.ndarray
    hits: np.ndarray
    truths: int

    @property
    def average_precision(self) -> float:
        """101-point interpolated average precision, as COCO counts it."""
        order = np.argsort(-self.scores, kind="stable")
        true = np.cumsum(self.hits[order])
        precision = true / np.arange(1, len(order) + 1)
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        at = np.searchsorted(true / self.truths, np.linspace(0, 1, 101))
        return float(np.append(precision, 0.0)[np.minimum(at, len(precision))].mean())

    def precision_recall(self, score: float) -> tuple[float, float]:
        chosen = self.hits[self.scores >= score]
        return float(chosen.sum() / max(1, len(chosen))), float(chosen.sum() / self.truths)


def match(frames: Sequence[tuple[Sequence, Truth]], min_iou: float = 0.5) -> Matches:
    """Match each frame's detections, best first, with its true boxes; each box once."""
    scores, hits = [], []
    for seen, truth in frames:
        iou = overlaps(boxes_of(seen), truth.boxes)
        free = np.ones(len(truth.boxes), bool)
        for row, one in enumerate(seen):  # detections come best first
            best = np.where(free, iou[row], -1.0).argmax() if free.any() else -1
            hit = best >= 0 and iou[row, best] >= min_iou
            if hit:
                free[best] = False
            scores.append(one.score)
            hits.append(hit)
    return Matches(
        np.array(scores), np.array(hits, int), sum(len(truth.boxes) for _, truth in frames)
    )


def idf1(frames: Sequence[tuple[Sequence, Truth]], min_iou: float = 0.5) -> float:
    """Return IDF1 (Ristani et al. 2016), its identity assignment made greedily."""
    shared: dict[tuple[int, int], int] = {}
    truths = tracks = 0
    for seen, truth in frames:
        truths, tracks = truths + len(truth.ids), tracks + len(seen)
        iou = overlaps(boxes_of(seen), truth.boxes)
        for row, column in zip(*np.nonzero(iou >= min_iou), strict=True):
            key = (seen[row].track_id, int(truth.ids[column]))
            shared[key] = shared.get(key, 0) + 1
    used_tracks: set[int] = set()
    used_truths: set[int] = set()
    common = 0
    for (track, person), count in sorted(shared.items(), key=lambda item: -item[1]):
        if track not in used_tracks and person not in used_truths:
            used_tracks.add(track)
            used_truths.add(person)
            common += count
    return 2 * common / max(1, truths + tracks)
