"""Pictures through a camera's real eyes, with the real detector, faster than real time."""

from collections.abc import Iterable
from pathlib import Path

import av

from agent.app.eyes import Eyes
from agent.app.picture_watch import PictureWatch
from agent.detect.detector import Detector
from agent.detect.wire import DetectReply
from agent.exam.sitting import MediaClock
from agent.settings.model import CameraSettings
from agent.settings.rules import Calibration, Rule


class OwnDetector:
    """Answers every question at once, and counts them."""

    def __init__(self, detector: Detector):
        self.state, self.asked, self._detector = "ready", 0, detector
        self.manifest = detector.manifest

    def detect(self, picture, frame_id, _wish=None):
        self.asked += 1
        found = self._detector.detect(
            picture.image, picture.content_width_px, picture.content_height_px
        )
        return DetectReply(frame_id=frame_id, detections=tuple(found), model="m", took_ms=0.0)


def watch(
    pictures: Iterable,
    rules: tuple[Rule, ...],
    detector: Detector,
    folder: Path,
    *,
    fps: float,
    calibration: Calibration | None = None,
):
    """Return the hits, the picture's findings, and the eyes, once all is shown."""
    camera = CameraSettings(
        camera_id="gate",
        main_url="rtsp://10.0.0.1/main",
        rules=rules,
        detect_fps=fps,
        calibration=calibration,
    )
    clock, hits, findings = MediaClock(), [], []
    health = PictureWatch(camera, folder, findings.append, clock)
    eyes = Eyes(
        camera,
        OwnDetector(detector),
        detector.manifest,
        hits.append,
        clock,
        [health.look],
        doubts=lambda: health.doubts,
        folder=folder,
    )
    for number, picture in enumerate(pictures):
        clock.now_s = number / fps
        frame = picture
        if not isinstance(picture, av.VideoFrame):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        eyes.look(frame, clock.now_s)
    return hits, findings, eyes
