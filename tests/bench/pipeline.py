"""A camera recorded and looked at by subprocesses, the way many recorders do it; to compare with.

`python -m tests.bench.pipeline MAIN_URL SUB_URL FOLDER`: one ffmpeg copies the main stream into
10 s segments, another decodes the sub stream and pipes raw frames here, where our own motion step
runs.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np

from agent.detect.motion import MotionGate
from tests.bench.clip import SUB

_INPUT = ("ffmpeg", "-nostdin", "-v", "error", "-analyzeduration", "0", "-probesize", "32")
_INPUT += ("-fpsprobesize", "0", "-threads", "1", "-rtsp_transport", "tcp", "-i")
_SEGMENTS = ("-c", "copy", "-an", "-f", "segment", "-segment_time", "10", "-reset_timestamps", "1")


def run(main_url: str, sub_url: str, folder: Path) -> None:
    """Record and look until ended."""
    width_px, height_px = SUB.size_px
    frames = ("-an", "-vf", f"scale={width_px}:{height_px}", "-pix_fmt", "yuv420p")
    frames += ("-f", "rawvideo", "pipe:1")
    gate = MotionGate()
    with (
        subprocess.Popen([*_INPUT, main_url, *_SEGMENTS, str(folder / "%06d.mp4")]),
        subprocess.Popen([*_INPUT, sub_url, *frames], stdout=subprocess.PIPE) as looking,
    ):
        assert looking.stdout is not None
        luma_bytes = width_px * height_px
        while len(frame := looking.stdout.read(luma_bytes * 3 // 2)) == luma_bytes * 3 // 2:
            luma = np.frombuffer(frame, np.uint8, luma_bytes).reshape(height_px, width_px)
            gate.update(np.ascontiguousarray(luma[::2, ::2]))


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
