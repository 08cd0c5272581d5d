"""What one look at the picture measures: light, detail per cell, edges, noise, standing still.

First step of picture health (camera worker). Reads a luma picture `WIDTH_PX` wide or so, some
times a minute; 0.5 ms or so.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from agent.detect.motion import Luma

Cells = NDArray[np.float32]
Edges = NDArray[np.float32]

ROWS, COLUMNS = 12, 16
"""The picture is compared in this many cells."""
WIDTH_PX = 320
LEAST_HEIGHT_PX, LEAST_WIDTH_PX = 48, 64

BLACK = 16.0  # luma of black in video range
_BLOWN = 232  # from here on nothing is told apart; white is 235 in video range
_SMALL_WIDTH_PX = 96
_IGNORED_STEP = 3  # luma steps between neighbours that noise makes, too
_AS_ONE_CHANGE = np.float32(2**-0.5)
"""The difference of two changes is so much more than one."""
_LOG_OF_LUMA = np.log(np.maximum(np.arange(256) - 16, 0) + 24).astype(np.float32)
"""The offset keeps noise in the dark from looking like edges."""


@dataclass(frozen=True, slots=True)
class Features:
    """One look. `level` and `bright` are luma above black: of all, and of the brightest 2 %."""

    level: float
    bright: float
    blown: float
    """Share of the picture (0..1) that is white and nothing else."""
    fine: Cells
    """Mean step between neighbouring pixels, by cell: goes with focus and with contrast."""
    coarse: Cells
    """The same of a picture made four times smaller or so: goes with contrast only."""
    edges: Edges
    """Where the edges are in the small picture, whatever the light: mean 0, deviation 1."""
    noise: float | None
    """Luma steps by which the quietest quarter changed since the last look; None: no last one."""
    is_still: bool
    """Exactly the picture of the last look."""


def measure(luma: Luma, before: Luma | None) -> Features:
    """Measure a picture of at least 64x48 pixels; `before` is that of the look before, if any."""
    sample = luma[::2, ::2]
    histogram = np.bincount(sample.ravel(), minlength=256)
    share_up_to = histogram.cumsum() / sample.size
    small = _reduced(luma)
    comparable = before is not None and before.shape == luma.shape
    return Features(
        level=max(0.0, float((histogram * np.arange(256)).sum()) / sample.size - BLACK),
        bright=max(0.0, float(np.searchsorted(share_up_to, 0.98)) - BLACK),
        blown=float(1.0 - share_up_to[_BLOWN - 1]),
        fine=_cells(_steps(luma)),
        coarse=_cells(_steps(small)),
        edges=_edges(small),
        noise=_noise(luma, before) if comparable and before is not None else None,
        is_still=comparable and before is not None and np.array_equal(luma, before),
    )


def _factor(luma: Luma) -> int:
    return max(1, int(luma.shape[1]) // _SMALL_WIDTH_PX)


def _reduced(luma: Luma) -> Luma:
    """Average squares of pixels into one; what does not fill a square is left out."""
    factor = _factor(luma)
    rows, columns = luma.shape[0] // factor, luma.shape[1] // factor
    inner = luma[: rows * factor, : columns * factor].reshape(rows, factor, columns * factor)
    by_row = inner.sum(axis=1, dtype=np.uint16)
    total = by_row.reshape(rows, columns, factor).sum(axis=2, dtype=np.uint32)
    small: Luma = (total // (factor * factor)).astype(np.uint8)
    return small


def _steps(luma: Luma) -> Luma:
    """Return how far each pixel lies from its right and lower neighbours, small steps left out."""
    here, right, below = luma[:-1, :-1], luma[:-1, 1:], luma[1:, :-1]
    across = np.maximum(here, right)
    across -= np.minimum(here, right)
    down = np.maximum(here, below)
    down -= np.minimum(here, below)
    steps = np.maximum(across, down)
    np.maximum(steps, _IGNORED_STEP, out=steps)
    steps -= _IGNORED_STEP
    return steps


def _cells(values: Luma) -> Cells:
    """Average over the grid of cells; a cell's pixels may differ by one row or column."""
    rows, columns, sizes = _grid(*values.shape)
    # 16 bits hold 257 rows of a cell; with 32 numpy would make a copy of all that is a new mapping
    by_row = np.add.reduceat(values, rows, axis=0, dtype=np.uint16)
    return (np.add.reduceat(by_row, columns, axis=1, dtype=np.uint32) / sizes).astype(np.float32)


@lru_cache(maxsize=8)
def _grid(height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Cells]:
    """Return where cells begin, down and across, and how many pixels each holds."""
    rows = np.arange(ROWS) * height // ROWS
    columns = np.arange(COLUMNS) * width // COLUMNS
    sizes = np.outer(np.diff(rows, append=height), np.diff(columns, append=width))
    return rows, columns, sizes.astype(np.float32)


def _edges(small: Luma) -> Edges:
    """Return where brightness changes by what factor: a shadow or a lamp changes little of it."""
    light = _LOG_OF_LUMA[small]
    edges = np.hypot(light[1:-1, 2:] - light[1:-1, :-2], light[2:, 1:-1] - light[:-2, 1:-1])
    np.sqrt(edges, out=edges)  # weak edges count, too: there are more of them
    edges = edges[:-2] + edges[1:-1] + edges[2:]
    edges = edges[:, :-2] + edges[:, 1:-1] + edges[:, 2:]
    edges -= edges.mean()
    spread = math.sqrt(float(np.vdot(edges, edges)) / edges.size)
    return edges / np.float32(spread) if spread > 1e-3 else np.zeros_like(edges)


def _noise(luma: Luma, before: Luma) -> float:
    """Noise differs from neighbour to neighbour; a car that fills the picture changes it evenly."""
    change = luma[::4, ::2].astype(np.int16) - before[::4, ::2]
    steps = np.abs(change[:, 1:] - change[:, :-1]) * _AS_ONE_CHANGE
    cells = _cells(steps.astype(np.uint8)).ravel()
    quarter = cells.size // 4
    return float(np.partition(cells, quarter)[quarter])
