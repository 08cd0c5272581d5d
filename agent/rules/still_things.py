"""What has come to lie still, or is gone, in a picture: two memories of the same scene compared.

A short memory forgets what moves; a long one knows what was always there. Where the two differ,
and the picture agrees with the short one, something still is new or missing. Somebody known to be
near stops the count, so only unattended time adds up. Runs in the camera worker on 4x4 cells of
the small brightness picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.contract.events import Region
from agent.messages.vision import TrackedObject
from agent.rules.scene import Luma

_CELL_PX = 4
_LOOK_EVERY_S = 0.19
_SHORT_S = 1.5  # time constants of the two memories
_LONG_S = 60.0
_KNOWN_AFTER_S = 2.0  # of stillness with nobody there
_STEADY, _DIFFERENT = 6.0, 14.0  # luma steps: of noise, and of a thing that is not the ground
_LEAST_CELLS = 3
_LEAST_EDGE = 12.0  # luma steps across its border: a thing has edges, wetness and light have none
_STANDS_OUT = 1.6  # times more than before or after, against a wet mark that only shines more
_ABSORBED_AFTER_S = 1800.0  # then it belongs to the scene
_NEWS_OF_PEOPLE_S = 3.0

Cells = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StillThing:
    """Where it is, for how long unattended, and whether it is new (or else missing)."""

    region: Region
    unattended_s: float
    is_new: bool


class StillThings:
    """Watches one camera's picture. `near`: body heights around somebody that count as theirs."""

    def __init__(self, near: float, max_area: float) -> None:
        self._near, self._max_area = near, max_area
        self._people: tuple[TrackedObject, ...] = ()
        self._people_s = float("-inf")
        self.forget()

    def forget(self) -> None:
        """Begin anew: what was known of the scene means nothing any more."""
        self._last_s: float | None = None
        self._long: Cells = np.zeros((0, 0), np.float32)

    def people(self, tracks: Sequence[TrackedObject], at_s: float) -> None:
        """Take note of who is there."""
        self._people, self._people_s = tuple(tracks), at_s

    def look(self, luma: Luma, at_s: float) -> bool:
        """Take a frame; return whether it was looked at."""
        cells = _cells(luma)
        if self._last_s is None or cells.shape != self._long.shape:
            self._begin(cells, at_s)
            return True
        passed_s = at_s - self._last_s
        if passed_s < _LOOK_EVERY_S:
            return False
        self._last_s, passed_s = at_s, min(passed_s, 1.0)
        bright = np.float32(np.median(cells))
        cells *= _light(cells, self._long)
        attended = self._attended(cells.shape, at_s)
        self._short += (cells - self._short) * np.float32(1 - np.exp(-passed_s / _SHORT_S))
        steady = (np.abs(cells - self._short) < _STEADY) & ~attended
        self._learn(steady, passed_s)
        self._differs = self._known & (np.abs(self._short - self._long) > _DIFFERENT)
        self._age[self._differs & steady] += passed_s
        self._age[~self._differs & ~attended] = 0.0
        self._absorb()
        self._anchor(bright, passed_s)
        return True

    def found(self, least_s: float) -> list[StillThing]:
        """Return what has been there, or gone, unattended for at least `least_s`."""
        things, left = [], self._age > 0.3 * least_s
        for start in zip(*np.nonzero(self._age >= least_s), strict=True):
            if left[start]:
                blob = _grow(left, (int(start[0]), int(start[1])))
                if _LEAST_CELLS <= len(blob) <= self._max_area * left.size:
                    things += self._things(blob)
        return things

    def _begin(self, cells: Cells, at_s: float) -> None:
        self._last_s = at_s
        self._short, self._long = cells.copy(), cells.copy()
        self._known = np.zeros(cells.shape, bool)
        self._differs = np.zeros(cells.shape, bool)
        self._still_s = np.zeros(cells.shape, np.float32)
        self._age = np.zeros(cells.shape, np.float32)

    def _learn(self, steady: Mask, passed_s: float) -> None:
        self._still_s = np.where(steady, self._still_s + np.float32(passed_s), np.float32(0))
        fresh = ~self._known & (self._still_s >= _KNOWN_AFTER_S)
        self._long[fresh] = self._short[fresh]
        self._known |= fresh
        same = self._known & ~self._differs & steady
        drift = (self._short - self._long) * np.float32(passed_s / _LONG_S)
        self._long[same] += drift[same]

    def _absorb(self) -> None:
        old = self._age > _ABSORBED_AFTER_S
        if old.any():
            self._long[old] = self._short[old]
            self._age[old] = 0.0

    def _anchor(self, bright: np.float32, passed_s: float) -> None:
        """Let both memories follow the picture's own brightness, together and slowly.

        What is compared is lit as the memory is; were the memory made of that alone, falling snow,
        which makes the picture a little brighter than its middle, would raise it without end.
        """
        usual = np.float32(np.median(self._long))
        share = np.float32(passed_s / _LONG_S)
        factor = np.float32(1) + share * ((bright + 1) / (usual + 1) - np.float32(1))
        self._short *= factor
        self._long *= factor

    def _attended(self, shape: tuple[int, ...], at_s: float) -> Mask:
        """Return the cells somebody stands in or near."""
        mask = np.zeros(shape, bool)
        if at_s - self._people_s > _NEWS_OF_PEOPLE_S:
            return mask
        rows, columns = shape
        for track in self._people:
            region = track.region
            reach = self._near * region.height
            top, bottom = region.y - 0.05, region.y + region.height + reach
            reach *= rows / columns  # the same length across
            left, right = region.x - reach, region.x + region.width + reach
            mask[
                max(0, int(top * rows)) : max(0, int(np.ceil(bottom * rows))),
                max(0, int(left * columns)) : max(0, int(np.ceil(right * columns))),
            ] = True
        return mask

    def _things(self, blob: list[tuple[int, int]]) -> list[StillThing]:
        """Return what a blob is: nothing, when the same shape only has another contrast."""
        rows, columns = self._long.shape
        inside = np.zeros((rows, columns), bool)
        ys, xs = np.array(blob).T
        inside[ys, xs] = True
        region = Region(
            x=float(xs.min() / columns),
            y=float(ys.min() / rows),
            width=float((np.ptp(xs) + 1) / columns),
            height=float((np.ptp(ys) + 1) / rows),
        )
        now, before = _outline(self._short, inside), _outline(self._long, inside)
        if max(now, before) < max(_LEAST_EDGE, _STANDS_OUT * min(now, before)):
            return []
        return [StillThing(region, float(self._age[ys, xs].max()), is_new=now > before)]


def _cells(luma: Luma) -> Cells:
    rows, columns = (size // _CELL_PX for size in luma.shape)
    inner = luma[: rows * _CELL_PX, : columns * _CELL_PX].astype(np.float32)
    means: Cells = inner.reshape(rows, _CELL_PX, columns, _CELL_PX).mean(axis=(1, 3))
    return means


def _light(cells: Cells, usual: Cells) -> np.float32:
    """Return by how much the light has gone down: clouds and exposure are nothing new.

    Light multiplies; the median holds while under half of the picture really changed.
    """
    return np.float32(np.median(((usual + 1) / (cells + 1))[::2, ::2]))


def _outline(cells: Cells, inside: Mask) -> float:
    """Return how much a shape stands out: the steps of brightness across its border."""
    across = np.abs(np.diff(cells, axis=1))[inside[:, 1:] != inside[:, :-1]]
    down = np.abs(np.diff(cells, axis=0))[inside[1:] != inside[:-1]]
    steps = np.concatenate([across, down])
    return float(steps.mean()) if steps.size else 0.0


def _grow(left: Mask, start: tuple[int, int]) -> list[tuple[int, int]]:
    """Take everything that hangs together with `start` out of `left`."""
    blob, edge = [], [start]
    left[start] = False
    while edge:
        row, column = edge.pop()
        blob.append((row, column))
        for y in range(max(0, row - 1), min(left.shape[0], row + 2)):
            for x in range(max(0, column - 1), min(left.shape[1], column + 2)):
                if left[y, x]:
                    left[y, x] = False
                    edge.append((y, x))
    return blob
