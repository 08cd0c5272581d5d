"""Hailo-8 and 8L by HailoRT's Python package `hailo_platform` (InferModel API, HailoRT 4.18+).

The package comes with Hailo's driver (Debian `hailo-all` on a Raspberry Pi), never from an index.
Not yet tried on a board: tested against a stand-in for the documented API.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.core.errors import DetectorError

_TIMEOUT_MS = 5000
_GROUP = "poleside"  # two models share one chip


class HailoBackend:
    """A HEF file on the chip. Implements `Backend`."""

    def __init__(self, model_file: Path) -> None:
        """Take the chip and load the model. Raises `DetectorError` "detector.backend"."""
        try:
            hailo: Any = importlib.import_module("hailo_platform")
        except ImportError as error:
            raise _cannot_load("HailoRT's Python package is not installed.") from error
        self.name = f"hailort {getattr(hailo, '__version__', 'unknown')}"
        self._failure: type[Exception] = hailo.HailoRTException
        try:
            shared = hailo.VDevice.create_params()
            shared.group_id = _GROUP
            self._device = hailo.VDevice(shared)
            model = self._device.create_infer_model(str(model_file))
            model.set_batch_size(1)
            model.input().set_format_type(hailo.FormatType.UINT8)
            for output in model.outputs:
                output.set_format_type(hailo.FormatType.FLOAT32)
            self._model = model.configure()
            self._outputs = {out.name: np.empty(out.shape, np.float32) for out in model.outputs}
            self._bindings = self._model.create_bindings(output_buffers=self._outputs)
        except (self._failure, OSError) as error:
            raise _cannot_load(f"{self.name} can't load {model_file.name}: {error}.") from error

    def invoke(self, image: NDArray[np.uint8]) -> Sequence[NDArray[np.float32]]:
        try:
            self._bindings.input().set_buffer(np.ascontiguousarray(image))
            self._model.run([self._bindings], _TIMEOUT_MS)
        except self._failure as error:
            raise DetectorError(
                "detector.invoke",
                f"{self.name} failed: {error}.",
                hint="The chip is started anew; if this stays, check its cable and its driver.",
            ) from error
        return joined_scales(list(self._outputs.values()))


def joined_scales(maps: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Put feature maps (rows, columns, channels) of one kind together, the finest grid first.

    A chip gives one map for each scale and kind; the decoder wants cells, whatever their scale.
    """
    kinds: dict[int, list[NDArray[np.float32]]] = {}
    for one in maps:
        kinds.setdefault(one.shape[-1], []).append(one.reshape(-1, one.shape[-1]))
    return [np.concatenate(sorted(kind, key=len, reverse=True)) for kind in kinds.values()]


def _cannot_load(message: str) -> DetectorError:
    return DetectorError(
        "detector.backend",
        message,
        hint="Install Hailo's driver and runtime of one version, and check the chip's cable.",
    )
