"""ONNX Runtime: on the processor, or on a Jetson's GPU by its CUDA and TensorRT providers.

The Python package is the optional extra `poleside[onnx]`; a Jetson has NVIDIA's own build of it.
Provider names: onnxruntime.ai, "Execution Providers". The GPU's providers are not yet tried on a
board.
"""

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.core.errors import DetectorError

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"

_TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32}
_SUFFIX = "ExecutionProvider"
_QUIET = 3  # errors only: the runtime's warnings would go to our stderr


class OnnxBackend:
    """An ONNX Runtime session for one model file. Implements `Backend`.

    The model takes the padded picture as uint8 or float32 of 0-255, rows first or channels first;
    whatever else it wants (mean, deviation) is part of its graph.
    """

    def __init__(self, model_file: Path, *, threads: int = 1, provider: str = CPU) -> None:
        """Load the model. Raises `DetectorError` "detector.backend".

        The runtime goes on silently with the processor where a provider fails: here that is an
        error, or nobody would know why the box is slow.
        """
        try:
            runtime = importlib.import_module("onnxruntime")
        except ImportError as error:
            raise _cannot_load("No ONNX Runtime is installed.") from error
        self.name = f"onnxruntime {runtime.__version__} {provider.removesuffix(_SUFFIX)}"
        own = _own_errors(runtime)
        self._failures: tuple[type[Exception], ...] = (*own, RuntimeError, ValueError, OSError)
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = _QUIET
        if provider not in runtime.get_available_providers():
            raise _cannot_load(f"{self.name}: this build has no such provider.")
        try:
            wanted = [provider] if provider == CPU else [provider, CPU]
            self._session: Any = runtime.InferenceSession(
                str(model_file), sess_options=options, providers=wanted
            )
        except self._failures as error:
            raise _cannot_load(f"{self.name} can't load {model_file.name}: {error}.") from error
        if self._session.get_providers()[0] != provider:
            raise _cannot_load(f"{self.name}: this box has no such provider.")
        taken = self._session.get_inputs()[0]
        if taken.type not in _TYPES:
            raise _cannot_load(f"{model_file.name} takes {taken.type}, which is no picture.")
        self._input, self._type = taken.name, _TYPES[taken.type]
        self._channels_first = taken.shape[1] == 3

    def invoke(self, image: NDArray[np.uint8]) -> Sequence[NDArray[np.float32]]:
        picture = image.transpose(2, 0, 1) if self._channels_first else image
        batch = np.ascontiguousarray(picture[np.newaxis], dtype=self._type)
        try:
            outputs = self._session.run(None, {self._input: batch})
        except self._failures as error:
            raise DetectorError(
                "detector.invoke",
                f"{self.name} failed on a picture of shape {image.shape}: {error}.",
                hint="The picture must have the size the model manifest names.",
            ) from error
        return [output[0] for output in outputs]


def _own_errors(runtime: Any) -> Iterator[type[Exception]]:
    """Yield what the runtime itself raises: each status is an exception of its own."""
    for known in vars(runtime.capi.onnxruntime_pybind11_state).values():
        if isinstance(known, type) and issubclass(known, Exception):
            yield known


def _cannot_load(message: str) -> DetectorError:
    return DetectorError(
        "detector.backend",
        message,
        hint="Install poleside[onnx], or on a Jetson NVIDIA's build of onnxruntime.",
    )
