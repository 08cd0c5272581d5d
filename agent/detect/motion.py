"""Does anything move? A gate on the luma plane, so that still scenes cost no inference.

Runs in the camera worker on every decoded frame: numpy on 8-bit values only (0.05 to 0.1 ms for
160x90). A background follows the scene by small steps; a block counts as moving when enough of
its pixels differ from it. Light that changes everywhere at once is taken out before comparing.
What moves must be somewhere: blocks count in company only, and near where some did in the frame
before. Rain and snow are everywhere for a moment and nowhere for two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

Luma = NDArray[np.uint8]
Blocks = TypeVar("Blocks", np.uint8, np.bool_)

_BLOCK_PX = 4
_WORK_WIDTH_PX = 160
# So many pixels side by side read as one number, whose lowest byte is the first of them: a fifth of
# the time that picking single bytes takes.
_TOGETHER = {2: "<u2", 4: "<u4", 8: "<u8"}
_SAMPLE = (slice(None, None, 4), slice(None, None, 4))


@dataclass(frozen=True, slots=True)
class MotionResult:
    """`blocks` of 4x4 work pixels changed, a `share` (0..1) of all; `active`: worth a look."""

    active: bool
    blocks: int
    share: float


@dataclass(frozen=True, slots=True)
class MotionTuning:
    """How much change counts. Defaults for a fixed camera at 2 to 10 frames a second."""

    pixel_step: int = 14
    """Luma steps by which a pixel must differ; above sensor noise and compression."""
    block_pixels: int = 3
    """Pixels of a block (of 16) that must differ for the block to count."""
    min_blocks: int = 2
    company: int = 3
    """Changed blocks there must be among a block and its eight neighbours."""
    adapt_every: int = 2
    """The background takes one step of 1/8 of the difference every so many frames."""
    scene_share: float = 0.7
    """From this share of moving blocks on it is a new scene (camera turned, light switched):
    the background starts afresh, and the frame counts as active."""


class MotionGate:
    """Compares each frame of one camera with what that camera usually sees."""

    def __init__(self, tuning: MotionTuning | None = None) -> None:
        self._tuning = tuning or MotionTuning()
        self._background: Luma | None = None
        self._before: NDArray[np.bool_] | None = None
        self._nothing = np.zeros((0, 0), np.bool_)
        self._frames = 0

    def update(self, luma: Luma) -> MotionResult:
        """Take the next luma picture (rows, columns); a first one, or another size, is active."""
        background = self._background
        if background is None or background.shape != luma.shape:
            return self._start_afresh(luma)
        self._frames += 1
        steady = _lit_as(luma, background)
        difference = np.maximum(steady, background)
        difference -= np.minimum(steady, background)
        moving = _block_counts(difference > self._tuning.pixel_step) >= self._tuning.block_pixels
        blocks = int(np.count_nonzero(moving))
        share = blocks / moving.size
        if share >= self._tuning.scene_share:
            return self._start_afresh(luma)
        if self._frames % self._tuning.adapt_every == 0:
            _step_towards(background, luma)
        if blocks < self._tuning.company:  # most frames of most cameras end here
            self._before = self._nothing
            return MotionResult(active=False, blocks=blocks, share=share)
        dense = moving & (_around(moving.view(np.uint8), np.add) >= self._tuning.company)
        before, self._before = self._before, dense
        if before is not None and dense.any():
            dense = dense & _around(_around(before, np.maximum), np.maximum)
        stays = int(np.count_nonzero(dense)) >= self._tuning.min_blocks
        return MotionResult(stays, blocks, share)

    def _start_afresh(self, luma: Luma) -> MotionResult:
        self._background, self._before, self._frames = luma.copy(), None, 0
        rows, columns = (size // _BLOCK_PX for size in luma.shape)
        self._nothing = np.zeros((rows, columns), np.bool_)
        return MotionResult(active=True, blocks=rows * columns, share=1.0)


def luma_of(frame: av.VideoFrame, width_px: int = _WORK_WIDTH_PX) -> Luma:
    """Return a small copy of a frame's brightness: every n-th pixel of the Y plane, so wide or so.

    For planar YUV (every H.264/H.265 camera); the video range is left as it is.
    """
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    step = max(1, round(frame.width / width_px))
    together = _TOGETHER.get(step)
    if together is None or plane.line_size % step:
        return np.ascontiguousarray(rows[: frame.height : step, : frame.width : step])
    columns = -(-frame.width // step)
    return rows[: frame.height : step].view(together)[:, :columns].astype(np.uint8)


def _lit_as(luma: Luma, background: Luma) -> Luma:
    """Shift the picture's brightness to the background's: clouds and auto-exposure are no motion.

    The median over a thin sample holds while under half of the picture really moves.
    """
    differences = (background[_SAMPLE].astype(np.int16) - luma[_SAMPLE]).ravel()
    differences.sort()  # a third of what np.median takes on so few
    shift = int(differences[differences.size // 2])
    if shift == 0:
        return luma
    # Saturating add on 8 bits: keep room first, so that nothing wraps around.
    if shift > 0:
        return np.minimum(luma, 255 - shift) + np.uint8(shift)
    return np.maximum(luma, -shift) - np.uint8(-shift)


def _block_counts(changed: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Count the changed pixels of each 4x4 block; an incomplete last row or column is left out."""
    rows, columns = (size // _BLOCK_PX for size in changed.shape)
    inner = np.ascontiguousarray(changed[: rows * _BLOCK_PX, : columns * _BLOCK_PX])
    # Four booleans side by side are one 32-bit word: adding 4 rows of words adds 4 columns of
    # counts at once, none above 4; multiplying adds the 4 bytes up into the top one (at most 16).
    words = inner.view(np.uint32).reshape(rows, _BLOCK_PX, columns).sum(axis=1, dtype=np.uint32)
    words *= np.uint32(0x01010101)
    counts: NDArray[np.uint8] = words.view(np.uint8)[:, 3::4]
    return counts


def _around(blocks: NDArray[Blocks], join: np.ufunc) -> NDArray[Blocks]:
    """Join each block with its eight neighbours: their sum, or whether one of them is set."""
    rows = blocks.copy()
    join(rows[1:], blocks[:-1], out=rows[1:])
    join(rows[:-1], blocks[1:], out=rows[:-1])
    both = rows.copy()
    join(both[:, 1:], rows[:, :-1], out=both[:, 1:])
    join(both[:, :-1], rows[:, 1:], out=both[:, :-1])
    return both


def _step_towards(background: Luma, luma: Luma) -> None:
    """Move the background by an eighth of the difference, at least by one, in place."""
    higher = luma > background
    lower = luma < background
    difference = np.maximum(luma, background) - np.minimum(luma, background)
    step = difference >> 3
    step += (difference > 0) & (step == 0)
    background += step * higher
    background -= step * lower
