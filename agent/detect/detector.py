"""One model on one backend: a padded picture in, detections out. Lives in the detect process."""

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.core.errors import DetectorError
from agent.detect.backends.interface import Backend
from agent.detect.backends.opening import default_engine, open_backend
from agent.detect.manifest import Manifest, load_manifest
from agent.detect.nanodet import NanoDetDecoder
from agent.messages.engines import ON_PROCESSOR, Engine
from agent.messages.vision import Detection

_TIMED_INFERENCES = 10


class Detector:
    """Finds objects in pictures already scaled and padded to the model's input size."""

    def __init__(
        self, manifest: Manifest, backend: Backend, engine: Engine = Engine.TFLITE_CPU
    ) -> None:
        self.manifest, self._backend, self.engine = manifest, backend, engine
        self.shape = (manifest.input.height_px, manifest.input.width_px, 3)
        self._decoder = NanoDetDecoder(
            manifest.input.width_px,
            manifest.input.height_px,
            manifest.labels,
            manifest.thresholds.candidate,
        )

    @property
    def backend_name(self) -> str:
        """The engine and its version, for telemetry."""
        return self._backend.name

    def detect(
        self, image: NDArray[np.uint8], content_width_px: int, content_height_px: int
    ) -> list[Detection]:
        """Return what is in the picture, best first, down to the manifest's candidate score.

        `content_*` is the part of `image` that is not padding; regions are fractions of it.
        Raises `DetectorError` for a picture of another size, or when the engine fails.
        """
        height_px, width_px, _ = self.shape
        if image.shape != self.shape or not (
            0 < content_width_px <= width_px and 0 < content_height_px <= height_px
        ):
            raise DetectorError(
                "detector.input",
                f"A picture of {image.shape} with {content_width_px}x{content_height_px} of content"
                f" does not fit the model's {self.shape}.",
                hint="Scale it with agent.detect.letterbox for this model's manifest.",
            )
        return self._decoder.decode(
            self._backend.invoke(image), content_width_px, content_height_px
        )

    def self_timing(self) -> float:
        """Return milliseconds one detection takes of the engine (median of ten).

        On the processor that is CPU, not wall time: how many cameras the box carries must not
        depend on what else runs while it starts. A chip is timed by the wall: it is what is busy.
        """
        image = np.full(self.shape, self.manifest.input.padding_grey, np.uint8)
        now_s = time.process_time if self.engine in ON_PROCESSOR else time.perf_counter
        taken_s = []
        for _ in range(_TIMED_INFERENCES):
            began_s = now_s()
            self.detect(image, self.shape[1], self.shape[0])
            taken_s.append(now_s() - began_s)
        return float(np.median(taken_s)) * 1000


def open_detector(
    model_folder: Path | None = None, *, threads: int = 1, engine: Engine | None = None
) -> Detector:
    """Verify and load the model in `model_folder` (default: the one shipped).

    Without an `engine` the processor's own is taken. Raises `DetectorError` when the file is not
    the one its manifest describes, or can't be run.
    """
    manifest = load_manifest(model_folder)
    chosen = engine or default_engine(manifest)
    return Detector(manifest, open_backend(manifest, model_folder, chosen, threads), chosen)
