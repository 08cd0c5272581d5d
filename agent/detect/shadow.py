"""A second model runs beside the first on a share of the questions; how far both agree is counted.

It answers nobody. That is how a new model is tried on a box's own cameras before it is used.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.core.errors import DetectorError
from agent.detect.detector import Detector
from agent.detect.manifest import Thresholds
from agent.detect.nanodet import overlaps
from agent.messages.vision import Detection

_SAME_IOU = 0.5


@dataclass(slots=True)
class Agreement:
    """Sure detections of both models since the start: in common, and of one alone.

    `unfit` pictures were of a shape that the second one has no file for.
    """

    pictures: int = 0
    both: int = 0
    first_only: int = 0
    second_only: int = 0
    failures: int = 0
    unfit: int = 0


class Shadowed:
    """A detector with another one in its shadow. Asked like a `Detector`."""

    def __init__(self, first: Detector, second: Detector, share: float) -> None:
        """Raise `DetectorError` when the second takes pictures of another size."""
        if first.shape != second.shape:
            raise DetectorError(
                "detector.shadow",
                f"The model in the shadow takes pictures of {second.shape}, not {first.shape}.",
                hint="Try a model of the same input size.",
            )
        self.manifest, self.shapes = first.manifest, first.shapes
        self.agreement = Agreement()
        self._first, self._second, self._share, self._due = first, second, share, 0.0

    def detect(
        self, image: NDArray[np.uint8], content_width_px: int, content_height_px: int
    ) -> list[Detection]:
        """Answer with what the first one sees."""
        found = self._first.detect(image, content_width_px, content_height_px)
        self._due += self._share
        if self._due >= 1:
            self._due -= 1
            self._compare(found, image, content_width_px, content_height_px)
        return found

    def _compare(
        self, found: list[Detection], image: NDArray[np.uint8], width_px: int, height_px: int
    ) -> None:
        count = self.agreement
        if image.shape not in self._second.shapes:
            count.unfit += 1
            return
        try:
            others = _sure(
                self._second.detect(image, width_px, height_px),
                self._second.thresholds(image.shape),
            )
        except DetectorError:
            count.failures += 1
            return
        own = _sure(found, self._first.thresholds(image.shape))
        common = in_common(own, others)
        count.pictures += 1
        count.both += common
        count.first_only += len(own) - common
        count.second_only += len(others) - common


def in_common(some: list[Detection], others: list[Detection]) -> int:
    """Return how many of both are the same thing in the same place."""
    free, common = list(others), 0
    for one in some:
        alike = [other for other in free if other.label == one.label]
        if not alike:
            continue
        iou = overlaps(_corners([one]), _corners(alike))[0]
        if iou.max() >= _SAME_IOU:
            free.remove(alike[int(iou.argmax())])
            common += 1
    return common


def _sure(found: list[Detection], thresholds: Thresholds) -> list[Detection]:
    return [one for one in found if one.score >= thresholds.of(one.label)]


def _corners(found: list[Detection]) -> NDArray[np.float64]:
    regions = [one.region for one in found]
    return np.array([(r.x, r.y, r.x + r.width, r.y + r.height) for r in regions])
