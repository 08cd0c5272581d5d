"""Reads a virtual staff gauge: how much of it no longer looks as it did when it was dry.

Each part of the gauge is compared with its dry look by normalised correlation, which does not mind
brighter or darker light. Water hides the texture from the foot upward. Rain, snow and insects are
averaged away first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.rules.scene import Luma
from agent.rules.zone import Point

PARTS = 20
_ROWS_A_PART, _ACROSS = 4, 9
_SMOOTH_S = 1.5
_SEEN = 0.8  # correlation with the dry look; waves reach it in single parts, by chance
_LEAST_SEEN = 0.6  # share of the dry parts that must be recognised
_LEAST_TEXTURE = 2.5  # luma steps (standard deviation) below which a part can't be told

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Reading:
    """`share` of the gauge under water; `is_seen`: enough of the dry rest is recognised."""

    share: float
    is_seen: bool


class StaffGauge:
    """One gauge of one camera; `dry` is what it looks like without water, once that is known."""

    def __init__(self, foot: Point, top: Point, width: float) -> None:
        self._foot, self._top, self._width = np.array(foot), np.array(top), width
        self.dry: Floats | None = None
        self._now: Floats | None = None
        self._last_s = 0.0

    def look(self, luma: Luma, at_s: float) -> None:
        """Take a frame into the smoothed picture of the gauge."""
        patch = self._patch(luma)
        if self._now is None or at_s - self._last_s > 10 * _SMOOTH_S:
            self._now = patch
        else:
            self._now += (patch - self._now) * np.float32(
                1 - np.exp(-(at_s - self._last_s) / _SMOOTH_S)
            )
        self._last_s = at_s

    @property
    def has_texture(self) -> bool:
        """Whether its dry look can be told from water at all."""
        return self.dry is not None and bool((self._texture(self.dry) >= _LEAST_TEXTURE).all())

    def read(self) -> Reading | None:
        """Return how it stands, None while there is nothing to compare."""
        if self.dry is None or self._now is None:
            return None
        likeness = _correlation(self._now, self.dry)
        seen = likeness >= _SEEN
        wet = _waterline(seen)
        is_seen = wet < PARTS and float(seen[wet:].mean()) >= _LEAST_SEEN
        return Reading(wet / PARTS, is_seen)

    def learn(self, share: float = 1.0) -> None:
        """Take what it looks like now for dry, or move that much of the way there."""
        if self._now is not None:
            before = self._now if self.dry is None else self.dry
            self.dry = (before + np.float32(share) * (self._now - before)).astype(np.float32)

    def _texture(self, look: Floats) -> Floats:
        deviation: Floats = look.reshape(PARTS, -1).std(axis=1)
        return deviation

    def _patch(self, luma: Luma) -> Floats:
        """Cut the gauge out of a frame: rows from foot to top, columns across it."""
        size = np.array([luma.shape[1], luma.shape[0]])
        foot, top = self._foot * size, self._top * size
        along = top - foot
        across = np.array([-along[1], along[0]]) / np.hypot(*along)
        steps = np.linspace(0, 1, PARTS * _ROWS_A_PART)[:, None, None]
        sideways = np.linspace(-0.5, 0.5, _ACROSS)[None, :, None] * self._width * size[0]
        places = np.rint(foot + steps * along + sideways * across).astype(int)
        x = places[..., 0].clip(0, luma.shape[1] - 1)
        y = places[..., 1].clip(0, luma.shape[0] - 1)
        patch: Floats = luma[y, x].astype(np.float32)
        return patch


def _waterline(seen: NDArray[np.bool_]) -> int:
    """Return how many parts are under water: the split that contradicts the fewest of them."""
    wrong_below = np.concatenate([[0], np.cumsum(seen)])
    wrong_above = np.concatenate([np.cumsum(~seen[::-1])[::-1], [0]])
    return int(np.argmin(wrong_below + wrong_above))


def _correlation(one: Floats, other: Floats) -> Floats:
    """Return the likeness (-1 to 1) of each part; one that has lost its texture is unlike."""
    a, b = (look.reshape(PARTS, -1) for look in (one, other))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    length = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    likeness: Floats = (a * b).sum(axis=1) / np.maximum(length, 1e-3)
    return likeness
