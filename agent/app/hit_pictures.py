"""The pictures of a rule hit: the whole scene when it begins, the best look at who it is about.

Made in the camera worker when a rule changes, never for a frame in which nothing did.
"""

import av
import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from agent.contract.events import MAX_CROP_BYTES, MAX_THUMBNAIL_BYTES, Region
from agent.detect.letterbox import RgbMaker
from agent.ingest.jpeg import encode_jpeg
from agent.messages.vision import HitState, RuleHit

_CLEARLY_BETTER = 1.3
_AROUND = 0.15  # of the region's size, on each side
_SCENE_WIDTH_PX, _CROP_WIDTH_PX = 480, 160
_LEAST_PX = 16


class HitPictures:
    """Remembers of each rule how good the best crop was that has been told."""

    def __init__(self) -> None:
        self._best: dict[str, float] = {}
        self._rgb = RgbMaker()

    def onto(self, hit: RuleHit, frame: av.VideoFrame) -> RuleHit:
        """Return the hit with the pictures that belong to it."""
        if hit.state is HitState.ENDED:
            self._best.pop(hit.rule_id, None)
            return hit
        if hit.state is HitState.BEGAN:
            self._best[hit.rule_id] = 0.0
            jpeg, width_px, height_px = encode_jpeg(frame, _SCENE_WIDTH_PX, MAX_THUMBNAIL_BYTES)
            hit = structs.replace(
                hit, picture_jpeg=jpeg, picture_width_px=width_px, picture_height_px=height_px
            )
        return self._with_crop(hit, frame)

    def _with_crop(self, hit: RuleHit, frame: av.VideoFrame) -> RuleHit:
        looks = [(one.score * one.region.width * one.region.height, one) for one in hit.objects]
        value, thing = max(looks, key=lambda look: look[0], default=(0.0, None))
        if thing is None or value <= _CLEARLY_BETTER * self._best.get(hit.rule_id, 0.0):
            return hit
        self._best[hit.rule_id] = value
        cut = _cut(self._rgb.picture(frame), thing.region)
        small = av.VideoFrame.from_ndarray(np.ascontiguousarray(cut), format="rgb24")
        jpeg, width_px, height_px = encode_jpeg(small, _CROP_WIDTH_PX, MAX_CROP_BYTES)
        return structs.replace(
            hit, crop_jpeg=jpeg, crop_width_px=width_px, crop_height_px=height_px
        )


def _cut(picture: NDArray[np.uint8], region: Region) -> NDArray[np.uint8]:
    """Return what lies in and a little around a region, at least some pixels of even size."""
    rows = _span(region.y, region.height, picture.shape[0])
    columns = _span(region.x, region.width, picture.shape[1])
    return picture[rows, columns]


def _span(start: float, length: float, size_px: int) -> slice:
    begin = max(0, int((start - _AROUND * length) * size_px))
    end = min(size_px, int(np.ceil((start + (1 + _AROUND) * length) * size_px)))
    begin = max(0, min(begin, size_px - _LEAST_PX))
    end = max(end, begin + _LEAST_PX)
    return slice(begin, begin + ((end - begin) & ~1))
