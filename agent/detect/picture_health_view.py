"""Tells whether this is still the camera's view, and if not, how it was shifted or turned.

Phase correlation of small edge pictures (Kuglin and Hines 1975), each answer proven by comparing
the aligned pictures. Costly (some ms), so it is asked only when the edges disagree.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from agent.detect.picture_health_features import Edges

_ANGLES_DEG = tuple(a for a in range(-30, 31, 3) if a)
_PEAKS = 12  # in a scene with little in it the highest one may be chance
_LEAST_OVERLAP = 0.25  # share of the picture
_SURE = 0.7  # a shift that explains so much needs no turn beside it


@dataclass(frozen=True, slots=True)
class Displacement:
    """How the view lies over the reference. `fit` is the correlation (-1..1) once aligned."""

    right: float
    """Share of the picture's width by which things lie further right; `down` of its height."""
    down: float
    angle_deg: float
    fit: float

    @property
    def distance(self) -> float:
        return math.hypot(self.right, self.down)


def agreement(edges: Edges, reference: Edges) -> float:
    """Return the correlation of two edge pictures as they lie, 1 for the same view."""
    return _correlation(edges, reference)


def find_shift(edges: Edges, reference: Edges, angle_deg: float = 0.0) -> Displacement:
    """Return the shift that lays `reference` over `edges` best."""
    seen, known = np.fft.rfft2(edges), np.fft.rfft2(reference)
    cross = seen * known.conj()
    cross /= np.abs(cross) + 1e-6
    surface = np.fft.irfft2(cross, s=edges.shape)
    height, width = edges.shape
    best = Displacement(0.0, 0.0, angle_deg, -1.0)
    for peak in np.argpartition(surface.ravel(), -_PEAKS)[-_PEAKS:]:
        row, column = divmod(int(peak), width)
        for down in (row, row - height):  # the correlation is circular: try both ways round
            for right in (column, column - width):
                fit = _fit(edges, reference, down, right)
                if fit > best.fit:
                    best = Displacement(right / width, down / height, angle_deg, fit)
    return best


def find_displacement(edges: Edges, reference: Edges) -> Displacement:
    """Return the shift, or the turn about the picture's center, that explains `edges` best."""
    best = find_shift(edges, reference)
    if best.fit >= _SURE:
        return best
    for angle_deg in _ANGLES_DEG:
        turned = reference.ravel()[_turned_places(edges.shape, angle_deg)]
        found = find_shift(edges, turned, angle_deg)
        if found.fit > best.fit + 0.05:
            best = found
    return best


def _fit(edges: Edges, reference: Edges, down: int, right: int) -> float:
    height, width = edges.shape
    overlap = (height - abs(down)) * (width - abs(right))
    if overlap < _LEAST_OVERLAP * height * width:
        return -1.0
    seen = edges[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
    known = reference[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
    return _correlation(seen, known)


def _correlation(one: Edges, other: Edges) -> float:
    one, other = one - one.mean(), other - other.mean()
    norm = math.sqrt(float(np.vdot(one, one)) * float(np.vdot(other, other)))
    return float(np.vdot(one, other)) / norm if norm > 1e-6 else 0.0


@lru_cache(maxsize=32)
def _turned_places(shape: tuple[int, int], angle_deg: float) -> NDArray[np.intp]:
    """Return for each pixel the flat index it comes from when the picture is turned."""
    height, width = shape
    y, x = np.mgrid[:height, :width]
    y, x = y - (height - 1) / 2, x - (width - 1) / 2
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    from_x = np.rint(cos * x + sin * y + (width - 1) / 2).clip(0, width - 1)
    from_y = np.rint(-sin * x + cos * y + (height - 1) / 2).clip(0, height - 1)
    places: NDArray[np.intp] = (from_y * width + from_x).astype(np.intp)
    return places
