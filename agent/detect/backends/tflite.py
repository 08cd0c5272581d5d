"""TensorFlow Lite on the CPU, or on an Edge TPU by its delegate.

The engine is ai-edge-litert, or tflite-runtime where only that is installed.

One thread on purpose: with a busy second core, two threads burn several times the CPU of one.
"""

import importlib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.core.errors import DetectorError

# Distribution name, module with the interpreter; the first that is installed is taken.
_ENGINES = (
    ("ai-edge-litert", "ai_edge_litert.interpreter"),
    ("tflite-runtime", "tflite_runtime.interpreter"),
)


EDGE_TPU = "libedgetpu.so.1"  # Coral's runtime, a Debian package of its own


class TfliteBackend:
    """A TFLite interpreter for one model file. Implements `Backend`."""

    def __init__(self, model_file: Path, *, threads: int = 1, delegate: str = "") -> None:
        """Load the model; `delegate` is a library that runs it on a chip, empty for the CPU.

        Raises `DetectorError` "detector.backend".
        """
        self.name, interpreter_module = _installed_engine()
        if delegate:
            self.name = f"{self.name} with {delegate}"
        try:
            chips = [interpreter_module.load_delegate(delegate)] if delegate else []
            self._interpreter: Any = interpreter_module.Interpreter(
                model_path=str(model_file), num_threads=threads, experimental_delegates=chips
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, OSError) as error:
            raise DetectorError(
                "detector.backend",
                f"{self.name} can't load {model_file.name}: {error}.",
                hint="Install the model again, or another inference engine.",
            ) from error
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._outputs = [detail["index"] for detail in self._interpreter.get_output_details()]

    def invoke(
        self, image: NDArray[np.uint8] | NDArray[np.float32]
    ) -> Sequence[NDArray[np.float32]]:
        try:
            self._interpreter.set_tensor(self._input, image[np.newaxis])
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise DetectorError(
                "detector.invoke",
                f"{self.name} failed on a picture of shape {image.shape}: {error}.",
                hint="The picture must have the size the model manifest names.",
            ) from error
        return [self._interpreter.tensor(index)()[0] for index in self._outputs]


def _installed_engine() -> tuple[str, Any]:
    for distribution, module in _ENGINES:
        try:
            return f"{distribution} {version(distribution)}", importlib.import_module(module)
        except (PackageNotFoundError, ImportError):
            continue
    raise DetectorError(
        "detector.backend",
        "No TensorFlow Lite engine is installed.",
        hint="Install the Python package ai-edge-litert (or poleside[tflite]).",
    )
