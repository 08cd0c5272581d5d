"""NanoDet's raw outputs to regions: distance bins to sides, then one box per object.

Decoding after RangiLyu/nanodet (generalised focal loss head): each grid cell gives, for its four
sides, 11 logits; the expected bin times the stride is the side's distance from the cell's centre.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.contract.events import Region
from agent.messages.vision import Detection

Floats = NDArray[np.float32]

_STRIDES = (8, 16, 32)
_BINS = 11
_STEPS = np.arange(_BINS, dtype=np.float32)
_SAME_OBJECT_IOU = 0.5
_MOST_DETECTIONS = 100
_MOST_CANDIDATES = 400  # before overlapping boxes are removed
_AT_ONCE = 64  # are set against the rest


class NanoDetDecoder:
    """Turns the outputs of one inference into detections, fractions of the picture's content."""

    def __init__(
        self, width_px: int, height_px: int, labels: Sequence[str], min_score: float
    ) -> None:
        self._labels, self._min_score = labels, min_score
        self._centers, self._strides = _grid(width_px, height_px)

    def decode(
        self, outputs: Sequence[Floats], content_width_px: int, content_height_px: int
    ) -> list[Detection]:
        """Return the detections, best first; `content_*` is the part that is not padding."""
        scores, bins = self._scores_and_bins(outputs)
        cells, classes = np.divmod(np.flatnonzero(scores >= self._min_score), scores.shape[1])
        if not len(cells):
            return []
        sure = scores[cells, classes]
        best = np.argsort(-sure, kind="stable")[:_MOST_CANDIDATES]
        cells, classes, sure = cells[best], classes[best], sure[best]
        boxes = self._boxes(bins[cells], cells)
        boxes /= np.array([content_width_px, content_height_px] * 2, np.float32)
        np.clip(boxes, 0.0, 1.0, out=boxes)
        kept = keep_best(boxes, classes, _SAME_OBJECT_IOU)[:_MOST_DETECTIONS]
        return [
            Detection(self._labels[own], score, region_of(box))
            for own, score, box in zip(
                classes[kept].tolist(), sure[kept].tolist(), boxes[kept].tolist(), strict=True
            )
        ]

    def _scores_and_bins(self, outputs: Sequence[Floats]) -> tuple[Floats, Floats]:
        """Tell the two outputs apart by their width: engines don't keep their order."""
        by_width = {output.shape[-1]: output for output in outputs}
        return by_width[len(self._labels)], by_width[4 * _BINS]

    def _boxes(self, bins: Floats, cells: NDArray[np.intp]) -> Floats:
        """Return left, top, right, bottom in input pixels."""
        weights = bins.reshape(-1, _BINS).T.copy()  # rows as long as can be: numpy is quick there
        weights -= weights.max(axis=0)
        np.exp(weights, out=weights)
        steps = _STEPS @ weights / weights.sum(axis=0)
        sides = steps.reshape(-1, 4) * self._strides[cells, np.newaxis]
        centers = self._centers[cells]
        boxes: Floats = np.concatenate([centers - sides[:, :2], centers + sides[:, 2:]], axis=1)
        return boxes


def keep_best(boxes: Floats, classes: NDArray[np.intp], max_iou: float) -> NDArray[np.intp]:
    """Return the rows left when of one class's boxes overlapping by more the best remains.

    `boxes` come best first, as fractions of the picture. The best few are set against all those
    still left, then the best few of what remains: half the time of all against all on some 300.
    """
    sides = (boxes + (2 * classes)[:, None].astype(np.float32)).T  # two classes never meet
    # Overlapping by more than `most`: sharing more than most / (1 + most) of both areas together.
    sizes = (sides[2] - sides[0]) * (sides[3] - sides[1]) * np.float32(max_iou / (1 + max_iou))
    rows, kept = np.arange(len(boxes)), []
    while len(rows):
        first, beaten = min(_AT_ONCE, len(rows)), 0
        left, top, right, bottom = own = sides.take(rows, axis=1)
        few = own[:, :first, None]
        wide = np.minimum(few[2], right)
        wide -= np.maximum(few[0], left)
        high = np.minimum(few[3], bottom)
        high -= np.maximum(few[1], top)
        size = sizes[rows]
        rivals = wide * high > size[:first, None] + size
        rivals &= wide > 0  # then high is, too, or the product were not
        packed = np.packbits(rivals, axis=1)
        width, bits = packed.shape[1], packed.tobytes()
        for row in range(first):  # whom each beats, as one number
            if not beaten >> (8 * width - 1 - row) & 1:
                kept.append(rows[row])
                beaten |= int.from_bytes(bits[row * width : (row + 1) * width])
        lost = np.frombuffer(beaten.to_bytes(width), np.uint8)
        rows = rows[first:][np.unpackbits(lost, count=len(rows))[first:] == 0]
    return np.array(kept, np.intp)


def overlaps(
    some: NDArray[np.floating[Any]], others: NDArray[np.floating[Any]]
) -> NDArray[np.floating[Any]]:
    """Return intersection over union of each of `some` (N, 4) with each of `others` (M, 4)."""
    left, top, right, bottom = some.T[:, :, None]
    its_left, its_top, its_right, its_bottom = others.T
    wide = np.minimum(right, its_right) - np.maximum(left, its_left)
    high = np.minimum(bottom, its_bottom) - np.maximum(top, its_top)
    shared = np.maximum(wide, 0.0) * np.maximum(high, 0.0)
    areas = (right - left) * (bottom - top) + (its_right - its_left) * (its_bottom - its_top)
    result: NDArray[np.floating[Any]] = shared / np.maximum(areas - shared, 1e-9)
    return result


def _grid(width_px: int, height_px: int) -> tuple[Floats, Floats]:
    """Return each cell's centre (x, y) and stride in pixels, in the model's row order."""
    centers, strides = [], []
    for stride in _STRIDES:
        rows, columns = np.mgrid[: height_px // stride, : width_px // stride]
        centers.append(np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], axis=1) * stride)
        strides.append(np.full(rows.size, stride))
    return np.concatenate(centers).astype(np.float32), np.concatenate(strides).astype(np.float32)


def region_of(box: Sequence[float]) -> Region:
    """Return left, top, right, bottom as a region."""
    left, top, right, bottom = box
    return Region(x=left, y=top, width=right - left, height=bottom - top)
