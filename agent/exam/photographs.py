"""Pictures with labels (YOLO text): the detector alone, without motion or tracks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from agent.core.errors import ExamError
from agent.detect.detector import Detector
from agent.detect.letterbox import FrameScaler
from agent.exam.boxes import Floats
from agent.exam.detections import DetectorMeter, DetectorScore


def look_at_pictures(
    labelled: Sequence[tuple[Path, Path]], detector: Detector, tell: Callable[[float], None]
) -> dict[str, DetectorScore]:
    """Score the detector on (picture, labels) pairs, class by class. Raises `ExamError`."""
    scaler, meter = FrameScaler(*detector.manifest.inputs), DetectorMeter()
    names = detector.manifest.labels
    for number, (path, labels) in enumerate(labelled):
        made = scaler.to_detector_input(_read(path))
        found = detector.detect(made.image, made.content_width_px, made.content_height_px)
        thresholds = detector.thresholds(made.image.shape)
        classes, boxes = read_yolo(labels, len(names))
        for index in sorted(set(classes) | {names.index(one.label) for one in found}):
            name = names[index]
            own = [one for one in found if one.label == name]
            meter.add(name, own, boxes[classes == index], threshold=thresholds.of(name))
        tell(number / len(labelled))
    return meter.scores()


def read_yolo(path: Path, classes: int) -> tuple[NDArray[np.int_], Floats]:
    """Read `class center_x center_y width height` (fractions); return classes and corners."""
    try:
        rows = np.array(
            [[float(word) for word in line.split()[:5]] for line in path.read_text().splitlines()]
        ).reshape(-1, 5)
    except (OSError, ValueError) as error:
        raise ExamError(
            "exam.truth",
            f"{path.name} holds no labels: {error}.",
            hint="Each line is class, centre x, centre y, width, height, as fractions.",
        ) from error
    index = rows[:, 0].astype(int)
    if len(index) and not 0 <= int(index.min()) <= int(index.max()) < classes:
        raise ExamError(
            "exam.truth",
            f"{path.name} names class {int(index.max())}; the model knows {classes}.",
            hint="Labels must count the classes as the model's manifest does, from 0.",
        )
    half = rows[:, 3:5] / 2
    return index, np.concatenate([rows[:, 1:3] - half, rows[:, 1:3] + half], axis=1)


def _read(path: Path) -> av.VideoFrame:
    try:
        with av.open(str(path)) as container:
            return next(container.decode(video=0))
    except (FFmpegError, OSError, StopIteration) as error:
        raise ExamError(
            "exam.footage",
            f"{path.name} can't be read as a picture: {error}.",
            hint="Leave it out.",
        ) from error
