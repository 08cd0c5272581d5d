"""How good the detector is: average precision, precision and recall against true boxes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from agent.detect.close_look import SMALL_PX
from agent.detect.nanodet import overlaps
from agent.exam.boxes import Floats, corners_of
from agent.messages.vision import Detection

IOUS = tuple(float(iou) for iou in np.arange(0.5, 0.96, 0.05))
_RECALLS = np.linspace(0, 1, 101)
_SMALL = SMALL_PX / 256  # of the picture's height


class DetectorScore(Struct, frozen=True, kw_only=True):
    """Of one class. Percent; `ap50_95` is the mean over IoU 0.50 to 0.95. `score`: the threshold.

    That is the lowest one where those for pictures of several shapes differ. With few true boxes
    the figures say little: look at `boxes`. `small`: true boxes lower than 24 of 256 rows, and
    `small_recall` of those.
    """

    boxes: int
    pictures: int
    ap50: float
    ap50_95: float
    precision: float
    recall: float
    score: float
    small: int = 0
    small_recall: float = 0.0


@dataclass(slots=True)
class _Hits:
    """All detections of one class: their score, and at each IoU whether they hit a true box."""

    threshold: float = 1.0
    scores: list[float] = field(default_factory=list)
    sure: list[bool] = field(default_factory=list)
    hits: list[list[bool]] = field(default_factory=list)
    boxes: int = 0
    pictures: int = 0
    small: int = 0
    small_found: int = 0


class DetectorMeter:
    """Collects pictures and their truth; `scores` tells how good the detector was."""

    def __init__(self) -> None:
        self._of: dict[str, _Hits] = defaultdict(_Hits)

    def add(
        self,
        name: str,
        detections: Sequence[Detection],
        truth: Floats,
        *,
        threshold: float,
        ious: Sequence[float] = IOUS,
    ) -> None:
        """Take one picture: what was detected of class `name`, and its true boxes."""
        found = sorted(detections, key=lambda one: -one.score)
        own = self._of[name]
        own.threshold = min(own.threshold, threshold)
        own.boxes += len(truth)
        own.pictures += 1
        own.scores += [one.score for one in found]
        is_sure = [one.score >= threshold for one in found]
        own.sure += is_sure
        iou = overlaps(corners_of(found), truth)
        sure = iou[is_sure]
        is_small = truth[:, 3] - truth[:, 1] < _SMALL
        own.small += int(is_small.sum())
        own.small_found += int((is_small & (sure >= ious[0]).any(axis=0)).sum())
        by_iou = [_hits(iou, least) for least in ious]
        own.hits += [[hit[row] for hit in by_iou] for row in range(len(found))]

    def scores(self) -> dict[str, DetectorScore]:
        """Return the score of each class that has true boxes."""
        return {name: _score(own) for name, own in sorted(self._of.items()) if own.boxes}


def _hits(iou: NDArray[np.floating[Any]], least: float) -> list[bool]:
    """Give each detection, best first, the free true box it covers best."""
    free = np.ones(iou.shape[1], bool)
    hits = []
    for row in iou:
        best = int(np.where(free, row, -1.0).argmax()) if free.any() else -1
        hit = best >= 0 and bool(row[best] >= least)
        if hit:
            free[best] = False
        hits.append(hit)
    return hits


def _score(own: _Hits) -> DetectorScore:
    scores = np.array(own.scores)
    hits = np.array(own.hits, bool) if own.hits else np.zeros((0, len(IOUS)), bool)
    precisions = [average_precision(scores, column, own.boxes) for column in hits.T]
    sure = hits[np.array(own.sure, bool)]
    true = int(sure[:, 0].sum()) if sure.size else 0
    return DetectorScore(
        boxes=own.boxes,
        pictures=own.pictures,
        ap50=round(100 * precisions[0], 2) if precisions else 0.0,
        ap50_95=round(100 * float(np.mean(precisions)), 2) if precisions else 0.0,
        precision=round(100 * true / max(1, len(sure)), 2),
        recall=round(100 * true / own.boxes, 2),
        score=own.threshold,
        small=own.small,
        small_recall=round(100 * own.small_found / max(1, own.small), 2),
    )


def average_precision(scores: Floats, hits: NDArray[np.bool_], boxes: int) -> float:
    """Return the 101-point interpolated average precision, as COCO counts it (0..1)."""
    order = np.argsort(-scores, kind="stable")
    true = np.cumsum(hits[order])
    precision = true / np.arange(1, len(order) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(true / boxes, _RECALLS)
    return float(np.append(precision, 0.0)[np.minimum(at, len(precision))].mean())
