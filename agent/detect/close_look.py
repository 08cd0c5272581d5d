"""A closer look at the part of a frame where people are small: a detector input of its own.

A detector's input is smaller than a frame: who is far off is a few pixels there, and more in the
frame. Asked after the look at the whole, only of a camera with `close_look`, only while the
detector has time to spare, and only where small things were seen lately; a part in which it finds
nothing more is left alone for a while. Each close look costs an inference. Owned by the eyes.
"""

from collections import deque
from collections.abc import Callable, Sequence

import av
import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from agent.contract.events import Region
from agent.detect.letterbox import FrameScaler, Letterboxed, RgbMaker
from agent.detect.manifest import InputSpec, Thresholds
from agent.detect.nanodet import keep_best
from agent.messages.vision import Detection

SMALL_PX = 24  # high in the detector's input: of those it misses half
_ENOUGH, _LATELY_S = 8, 60.0  # so many small sightings make a part worth a look
_MOST_REMEMBERED = 100
_ZOOM = 2.0  # beside the whole
_LEAST_FINER = 1.3  # the frame must be than the detector's input
_TRIES, _LEAST_GAIN, _REST_S = 40, 0.05, 600.0
_SAME_IOU = 0.5
_AT_EDGE = 0.01  # of the part: whoever touches its edge is cut off

Ask = Callable[[Letterboxed], Sequence[Detection] | None]


class CloseLook:
    """Decides where to look closer, and puts what is seen there to what the whole shows."""

    def __init__(self, spec: InputSpec, thresholds: Thresholds) -> None:
        self._spec, self._thresholds = spec, thresholds
        self._scaler, self._rgb = FrameScaler(spec), RgbMaker()
        self._small: deque[tuple[float, float, float]] = deque(maxlen=_MOST_REMEMBERED)
        self._tries = self._gains = 0
        self._rests_until_s = float("-inf")

    def look(
        self, frame: av.VideoFrame, found: Sequence[Detection], at_s: float, ask: Ask
    ) -> tuple[Detection, ...]:
        """Return what was `found` in the whole, with what `ask` finds in the part, best first."""
        self._remember(found, frame.height / frame.width, at_s)
        part = self.part(frame.width, frame.height) if at_s >= self._rests_until_s else None
        closer = ask(self._cut(frame, part)) if part is not None else None
        if part is None or closer is None:
            return tuple(found)
        together = _together([*found, *_of_frame(closer, part)])
        self._weigh(found, together, at_s)
        return together

    def part(self, width_px: int, height_px: int) -> Region | None:
        """Return the part that holds most of the small ones; None where none is worth it."""
        finer = max(width_px / self._spec.width_px, height_px / self._spec.height_px)
        if finer < _LEAST_FINER or len(self._small) < _ENOUGH:
            return None
        side = 1 / _ZOOM
        centers = np.array([(x, y) for _, x, y in self._small])
        corners = (centers - side / 2).clip(0.0, 1.0 - side)
        off = centers[None] - corners[:, None]
        holds = ((off >= 0) & (off <= side)).all(axis=2).sum(axis=1)
        best = int(holds.argmax())
        if holds[best] < _ENOUGH:
            return None
        x, y = corners[best].tolist()
        return Region(x=x, y=y, width=side, height=side)

    def _remember(self, found: Sequence[Detection], shape: float, at_s: float) -> None:
        rows = min(self._spec.height_px, self._spec.width_px * shape)
        for one in found:
            region = one.region
            if one.label in self._thresholds.labels and region.height * rows < SMALL_PX:
                center = (region.x + region.width / 2, region.y + region.height / 2)
                self._small.append((at_s, *center))
        while self._small and at_s - self._small[0][0] > _LATELY_S:
            self._small.popleft()

    def _cut(self, frame: av.VideoFrame, part: Region) -> Letterboxed:
        picture = self._rgb.picture(frame)
        rows = slice(round(part.y * frame.height), round((part.y + part.height) * frame.height))
        columns = slice(round(part.x * frame.width), round((part.x + part.width) * frame.width))
        cut: NDArray[np.uint8] = np.ascontiguousarray(picture[rows, columns])
        return self._scaler.to_detector_input(av.VideoFrame.from_ndarray(cut, format="rgb24"))

    def _weigh(
        self, found: Sequence[Detection], together: Sequence[Detection], at_s: float
    ) -> None:
        """A part that brings nothing is not worth its inferences."""
        self._tries += 1
        self._gains += self._believed(together) > self._believed(found)
        if self._tries >= _TRIES:
            if self._gains < _LEAST_GAIN * self._tries:
                self._rests_until_s = at_s + _REST_S
            self._tries = self._gains = 0

    def _believed(self, found: Sequence[Detection]) -> int:
        return sum(one.score >= self._thresholds.of(one.label) for one in found)


def _of_frame(closer: Sequence[Detection], part: Region) -> list[Detection]:
    """Return what lies wholly in the part, as regions of the frame."""
    moved = []
    for one in closer:
        own = one.region
        sides = (own.x, own.y, own.x + own.width, own.y + own.height)
        edges = (part.x > 0, part.y > 0, part.x + part.width < 1, part.y + part.height < 1)
        near = (sides[0], sides[1], 1 - sides[2], 1 - sides[3])
        if any(edge and gap < _AT_EDGE for edge, gap in zip(edges, near, strict=True)):
            continue
        region = Region(
            x=part.x + own.x * part.width,
            y=part.y + own.y * part.height,
            width=own.width * part.width,
            height=own.height * part.height,
        )
        moved.append(structs.replace(one, region=region))
    return moved


def _together(both: list[Detection]) -> tuple[Detection, ...]:
    """Return each object once, by its surest sighting."""
    both.sort(key=lambda one: -one.score)
    kinds = {label: k for k, label in enumerate({one.label for one in both})}
    regions = [one.region for one in both]
    boxes = np.array([(r.x, r.y, r.x + r.width, r.y + r.height) for r in regions], np.float32)
    classes = np.array([kinds[one.label] for one in both], np.intp)
    if not both:
        return ()
    return tuple(both[row] for row in keep_best(boxes, classes, _SAME_IOU))
