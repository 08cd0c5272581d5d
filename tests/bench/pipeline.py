"""A camera recorded and looked at by subprocesses, the way many recorders do it; to compare with.

`python -m tests.bench.pipeline KIND MAIN_URL SUB_URL FOLDER`: one ffmpeg copies the main stream
into 10 s segments, another decodes the sub stream and pipes raw frames here, where a motion step
runs. KIND is `lean` (one thread, tuned opening, our own motion step: the least such a pipeline can
cost) or `usual` (the arguments and the motion step of a widely used recorder, see `contours`).
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from agent.detect.motion import Luma, MotionGate
from tests.bench.pipeline_commands import HEIGHT_PX, WIDTH_PX, decoding, recording


def run(kind: str, main_url: str, sub_url: str, folder: Path) -> None:
    """Record and look until ended."""
    look = _step(kind)
    with (
        subprocess.Popen(recording(kind, main_url, folder)),
        subprocess.Popen(decoding(kind, sub_url), stdout=subprocess.PIPE) as looking,
    ):
        assert looking.stdout is not None
        luma_bytes = WIDTH_PX * HEIGHT_PX
        while len(frame := looking.stdout.read(luma_bytes * 3 // 2)) == luma_bytes * 3 // 2:
            look(np.frombuffer(frame, np.uint8, luma_bytes).reshape(HEIGHT_PX, WIDTH_PX))


def _step(kind: str) -> Callable[[Luma], object]:
    if kind == "usual":
        from tests.bench.contours import ContourMotion  # OpenCV and scipy only where they are used

        return ContourMotion(HEIGHT_PX, WIDTH_PX).update
    gate = MotionGate()
    return lambda luma: gate.update(np.ascontiguousarray(luma[::4, ::4]))


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
