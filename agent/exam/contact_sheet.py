"""Many small pictures side by side on one, each with a line of text."""

from __future__ import annotations

import io
from collections.abc import Sequence

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from agent.exam.drawing import Canvas
from agent.ingest.jpeg import encode_jpeg

_WIDE, _HIGH, _ACROSS = 96, 176, 10
_MOST_BYTES = 4_000_000


def make_sheet(pictures: Sequence[tuple[bytes, str]]) -> bytes | None:
    """Return a JPEG of JPEGs with their captions, None when there is none that can be read."""
    cells = [(cell, text) for jpeg, text in pictures if (cell := _cell(jpeg)) is not None]
    if not cells:
        return None
    across = min(_ACROSS, len(cells))
    rows = -(-len(cells) // across)
    sheet = np.zeros((rows * _HIGH, across * _WIDE, 3), np.uint8)
    for number, (cell, _) in enumerate(cells):
        top, left = number // across * _HIGH, number % across * _WIDE
        sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    canvas = Canvas(av.VideoFrame.from_ndarray(sheet, format="rgb24"), thick=1)
    for number, (_, text) in enumerate(cells):
        top, left = number // across * _HIGH, number % across * _WIDE
        canvas.text(text, (left, top + _HIGH - 10), (255, 255, 255))
    return encode_jpeg(canvas.frame(), across * _WIDE, _MOST_BYTES)[0]


def _cell(jpeg: bytes) -> NDArray[np.uint8] | None:
    try:
        with av.open(io.BytesIO(jpeg), "r", format="mjpeg") as container:
            frame = next(container.decode(video=0))
    except (FFmpegError, StopIteration):
        return None
    scale = min((_WIDE - 2) / frame.width, (_HIGH - 12) / frame.height)
    width, height = (max(2, int(size * scale) & ~1) for size in (frame.width, frame.height))
    small = VideoReformatter().reformat(frame, width=width, height=height, format="rgb24")
    return small.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
