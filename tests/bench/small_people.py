"""What a closer look at a part brings where people are small: recall and CPU, with and without.

`python -m tests.bench.small_people CLIP TRUTH` shows CLIP (with MOT truth) at half of its size in a
640x480 picture of blurred surroundings to the box's own eyes, at 5 looks a second. The people are
real; that they are far off is made.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Interpolation
from click import echo

from agent.detect.detector import open_detector
from agent.exam.boxes import PictureFit, read_mot
from agent.exam.detections import DetectorMeter
from agent.exam.footage import open_clip
from agent.exam.sitting import sit
from agent.settings.model import CameraSettings

WIDTH, HEIGHT, FPS = 640, 480, 10
INNER = (160, 60, 320, 240)  # left, top, width, height of the shrunken picture


def rgb_of(frame: av.VideoFrame, width_px: int, height_px: int) -> np.ndarray:
    area = Interpolation.AREA if width_px < frame.width else Interpolation.BILINEAR
    return frame.to_ndarray(
        width=width_px, height=height_px, format="rgb24", interpolation=area, threads=1
    )


def shrunk(clip: Path, to: Path, seconds: float) -> None:
    """Write the clip, shrunk, in the middle of its own large blur."""
    left, top, width, height = INNER
    with av.open(str(clip)) as source, av.open(str(to), "w") as target:
        stream = target.add_stream("libx264", rate=FPS, options={"crf": "23"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for number, frame in enumerate(source.decode(video=0)):
            if number >= seconds * FPS:
                break
            small = rgb_of(frame, width, height)
            blurred = av.VideoFrame.from_ndarray(rgb_of(frame, 16, 12), format="rgb24")
            whole = rgb_of(blurred, WIDTH, HEIGHT)
            whole[top : top + height, left : left + width] = small
            shown = av.VideoFrame.from_ndarray(whole, format="rgb24")
            shown.pts = number
            target.mux(stream.encode(shown))
        target.mux(stream.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("clip", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--seconds", type=float, default=20.0)
    told = parser.parse_args()
    size = open_clip(told.clip).size_px
    fit = PictureFit(size, size)
    truth = read_mot(told.truth, fit, FPS, frozenset({"person"}), 0.5)
    left, top, width, height = INNER
    scale = np.array([width / WIDTH, height / HEIGHT] * 2)
    off = np.array([left / WIDTH, top / HEIGHT] * 2)
    detector = open_detector()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.mp4"
        shrunk(told.clip, path, told.seconds)
        for is_close in (False, True):
            camera = CameraSettings(camera_id="far", main_url="rtsp://b/", close_look=is_close)
            began_s = time.process_time()
            sitting = sit(open_clip(path), camera, detector, lambda _: None)
            spent_s = time.process_time() - began_s
            meter, tall = DetectorMeter(), []
            for look in sitting.looks:
                boxes = truth.at(look.at_s).boxes * scale + off
                tall += [HEIGHT * (box[3] - box[1]) for box in boxes]
                people = [one for one in look.detections if one.label == "person"]
                meter.add("person", people, boxes, threshold=0.4)
            seen = meter.scores()["person"]
            echo(
                f"close_look {is_close!s:5}: AP50 {seen.ap50}, precision {seen.precision}, recall"
                f" {seen.recall}; lower than 24 rows {seen.small_recall} of {seen.small};"
                f" {len(sitting.looks)} looks at people {np.median(tall):.0f} px high,"
                f" {1000 * spent_s / len(sitting.looks):.1f} ms CPU a look"
            )


if __name__ == "__main__":
    main()
