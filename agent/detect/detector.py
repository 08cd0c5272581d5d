"""One model on one backend: a padded picture in, detections out. Lives in the detect process.

A model with a file for each shape of picture is one detector, too: who asks chooses by the size of
the picture, and a file costs memory only once such a picture came.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.core.errors import DetectorError
from agent.detect.backends.interface import Backend
from agent.detect.backends.opening import default_engine, open_backend, sound_forms
from agent.detect.manifest import Manifest, Shape, Thresholds, load_manifest
from agent.detect.nanodet import NanoDetDecoder
from agent.messages.engines import ON_PROCESSOR, Engine
from agent.messages.vision import Detection

_TIMED_INFERENCES = 10


Opener = Callable[[Manifest], Backend]


class Detector:
    """Finds objects in pictures already scaled and padded to an input size of the model."""

    def __init__(
        self,
        manifest: Manifest,
        backend: Backend,
        engine: Engine = Engine.TFLITE_CPU,
        opener: Opener | None = None,
    ) -> None:
        """`backend` runs the manifest's own file; without an `opener` no other can be run."""
        self.manifest, self.engine, self._opener = manifest, engine, opener
        self.shape = manifest.input.shape
        self._forms = {form.input.shape: form for form in manifest.forms[: None if opener else 1]}
        self._decoders = {shape: _decoder(form) for shape, form in self._forms.items()}
        self._backends = {self.shape: backend}
        self.backend_name = backend.name  # the engine and its version, for telemetry

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """What pictures it takes."""
        return tuple(self._forms)

    def thresholds(self, shape: Shape) -> Thresholds:
        """Return from which scores objects are believed in pictures of one of its shapes."""
        return self._forms[shape].thresholds

    def backend(self, shape: Shape) -> Backend:
        """Return what runs pictures of one of its shapes, loaded if it was not.

        Raises `DetectorError` when it can't be.
        """
        if shape not in self._backends and self._opener is not None:
            self._backends[shape] = self._opener(self._forms[shape])
        return self._backends[shape]

    def rest(self) -> None:
        """Let go of each file until a picture of its shape comes."""
        if self._opener is not None:
            self._backends.clear()

    def detect(
        self, image: NDArray[np.uint8], content_width_px: int, content_height_px: int
    ) -> list[Detection]:
        """Return what is in the picture, best first, down to the manifest's candidate score.

        `content_*` is the part of `image` that is not padding; regions are fractions of it.
        Raises `DetectorError` for a picture of another size, or when the engine fails.
        """
        if image.shape not in self._forms or not (
            0 < content_width_px <= image.shape[1] and 0 < content_height_px <= image.shape[0]
        ):
            raise DetectorError(
                "detector.input",
                f"A picture of {image.shape} with {content_width_px}x{content_height_px} of content"
                f" does not fit the model's {self.shapes}.",
                hint="Scale it with agent.detect.letterbox for this model's manifest.",
            )
        return self._decoders[image.shape].decode(
            self.backend(image.shape).invoke(image), content_width_px, content_height_px
        )

    def self_timing(self, shape: Shape | None = None) -> float:
        """Return milliseconds one detection takes of the engine (median of ten).

        On the processor that is CPU, not wall time: how many cameras the box carries must not
        depend on what else runs while it starts. A chip is timed by the wall: it is what is busy.
        """
        image = np.full(shape or self.shape, self.manifest.input.padding_grey, np.uint8)
        now_s = time.process_time if self.engine in ON_PROCESSOR else time.perf_counter
        taken_s = []
        for _ in range(_TIMED_INFERENCES):
            began_s = now_s()
            self.detect(image, image.shape[1], image.shape[0])
            taken_s.append(now_s() - began_s)
        return float(np.median(taken_s)) * 1000


def open_detector(
    model_folder: Path | None = None,
    *,
    threads: int = 1,
    engine: Engine | None = None,
    whole: bool = True,
) -> Detector:
    """Verify and load the model in `model_folder` (default: the one shipped).

    Without an `engine` the processor's own is taken. Unless it must be there as a `whole`, a file
    that is damaged or gone is left out, while another can stand in for it. Raises `DetectorError`
    when the file is not the one its manifest describes, or can't be run.
    """
    manifest = load_manifest(model_folder)
    chosen = engine or default_engine(manifest)
    if not whole:
        manifest = manifest.only(sound_forms(manifest, model_folder, chosen) or manifest.forms)

    def opened(form: Manifest) -> Backend:
        return open_backend(form, model_folder, chosen, threads)

    return Detector(manifest, opened(manifest), chosen, opened)


def _decoder(form: Manifest) -> NanoDetDecoder:
    taken = form.input
    return NanoDetDecoder(taken.width_px, taken.height_px, form.labels, form.thresholds.candidate)
