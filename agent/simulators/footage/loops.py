"""Encodes one pass over the source pictures into every loop the simulated cameras need.

All views of a stream share size, rate and encoder settings, so that a camera can switch between
them at any key picture. A sub stream is smaller than its main stream, since size is what ONVIF
clients tell them apart by. No B-frames and one key picture a second, as cameras send.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

SOURCE_SIZE_PX = (768, 576)
SOURCE_FPS = 10
SOURCE_S = 79  # at most: the recording's whole seconds, so that a loop ends with a whole GOP
PTZ_S = 40  # five views of all of it would double the work for little more to see

_PAN_WIDTH_PX, _PAN_HEIGHT_PX = 400, 300
_PAN_STEP_PX = (SOURCE_SIZE_PX[0] - _PAN_WIDTH_PX) // 4
_ENCODER = {"preset": "veryfast", "crf": "25", "maxrate": "2000000", "bufsize": "2000000"}


@dataclass(frozen=True, slots=True)
class LoopPlan:
    """One file to make: which part of the source (left, top, width, height), how big, how often."""

    view: str
    stream: Literal["main", "sub"]
    is_ptz: bool
    crop_px: tuple[int, int, int, int]
    size_px: tuple[int, int]
    fps: int
    seconds: int

    @property
    def file_name(self) -> str:
        return f"{self.view}-{self.stream}.mp4"


def loop_plans(pan_top_px: int) -> tuple[LoopPlan, ...]:
    """Return the fixed camera's two loops and the PTZ camera's ten, left to right.

    The PTZ views start at `pan_top_px`, so that they show the height where people walk.
    """
    whole = (0, 0, *SOURCE_SIZE_PX)
    plans = [
        LoopPlan("fixed", "main", False, whole, SOURCE_SIZE_PX, SOURCE_FPS, SOURCE_S),
        LoopPlan("fixed", "sub", False, whole, (640, 480), SOURCE_FPS // 2, SOURCE_S),
    ]
    for pan in range(-2, 3):
        crop = ((pan + 2) * _PAN_STEP_PX, pan_top_px, _PAN_WIDTH_PX, _PAN_HEIGHT_PX)
        plans += [
            LoopPlan(f"pan{pan}", "main", True, crop, (640, 480), SOURCE_FPS, PTZ_S),
            LoopPlan(f"pan{pan}", "sub", True, crop, (480, 360), SOURCE_FPS // 2, PTZ_S),
        ]
    return tuple(plans)


def encode_loops(
    pictures: Iterable[NDArray[np.uint8]],
    plans: Iterable[LoopPlan],
    folder: Path,
    say: Callable[[str], None],
) -> None:
    """Write one MP4 file per plan into `folder`, reading `pictures` only once."""
    writers = [_LoopWriter(plan, folder) for plan in plans]
    try:
        for number, picture in enumerate(islice(pictures, SOURCE_FPS * SOURCE_S)):
            if number and number % (20 * SOURCE_FPS) == 0:
                say(f"Encoded {number // SOURCE_FPS} of at most {SOURCE_S} seconds.")
            for writer in writers:
                writer.offer(number, picture)
    finally:
        for writer in writers:
            writer.close()


class _LoopWriter:
    """One libx264 encoder and its file."""

    def __init__(self, plan: LoopPlan, folder: Path) -> None:
        self._plan = plan
        self._container = av.open(str(folder / plan.file_name), "w")
        stream: VideoStream = self._container.add_stream(
            "libx264", rate=plan.fps, options=_ENCODER | _gop_options(plan.fps)
        )
        stream.width, stream.height = plan.size_px
        stream.pix_fmt = "yuv420p"
        self._stream = stream

    def offer(self, number: int, picture: NDArray[np.uint8]) -> None:
        plan = self._plan
        every = SOURCE_FPS // plan.fps
        if number % every or number >= plan.seconds * SOURCE_FPS:
            return
        left, top, width, height = plan.crop_px
        crop = np.ascontiguousarray(picture[top : top + height, left : left + width])
        frame = av.VideoFrame.from_ndarray(crop, format="rgb24").reformat(
            *plan.size_px, format="yuv420p", interpolation=Interpolation.BILINEAR
        )
        frame.pts, frame.time_base = number // every, Fraction(1, plan.fps)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()


def _gop_options(fps: int) -> dict[str, str]:
    return {
        "x264-params": f"keyint={fps}:min-keyint={fps}:scenecut=0:bframes=0:open-gop=0"
        ":rc-lookahead=0:force-cfr=1"
    }
