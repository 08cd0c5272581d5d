"""A stand-in for HailoRT's documented InferModel API, with a mood: HAILO_MOOD=well|hang|crash.

It answers as the shipped model's outputs are shaped, one map a scale, and sees nothing. A mood
comes after the self-test and the timing: with the thirteenth picture.
"""

import os
import threading
from types import SimpleNamespace

__version__ = "stand-in"
FormatType = SimpleNamespace(UINT8="uint8", FLOAT32="float32")
_WELL_RUNS = 12


class HailoRTException(Exception):  # noqa: N818 - HailoRT's own name
    pass


class _Stream:
    def __init__(self, name, shape):
        self.name, self.shape, self.kind = name, shape, None

    def set_format_type(self, kind):
        self.kind = kind


class _Bindings:
    def __init__(self, output_buffers):
        self.outputs, self.picture = output_buffers, None

    def input(self):
        return self

    def set_buffer(self, picture):
        self.picture = picture


class _Configured:
    def __init__(self, model):
        self._model, self._runs = model, 0

    def create_bindings(self, output_buffers):
        return _Bindings(output_buffers)

    def run(self, bindings, timeout):
        (one,) = bindings
        expected = self._model.input().shape
        if one.picture.shape != expected or self._model.input().kind != FormatType.UINT8:
            raise HailoRTException(f"HAILO_INVALID_ARGUMENT: {one.picture.shape}")
        self._runs += 1
        mood = os.environ.get("HAILO_MOOD", "well")
        if mood == "hang" and self._runs > _WELL_RUNS:
            threading.Event().wait()
        if mood == "crash" and self._runs > _WELL_RUNS:
            os.abort()
        for buffer in one.outputs.values():
            buffer[:] = 0.0


class _InferModel:
    def __init__(self, file):
        if not file.endswith(".hef"):
            raise HailoRTException("HAILO_INVALID_HEF")
        self._input = _Stream("picture", (256, 416, 3))
        self.outputs = [
            _Stream(f"{kind}{stride}", (256 // stride, 416 // stride, channels))
            for stride in (32, 8, 16)
            for kind, channels in (("scores", 80), ("bins", 44))
        ]

    def input(self):
        return self._input

    def set_batch_size(self, size):
        assert size == 1

    def configure(self):
        return _Configured(self)


class VDevice:
    def __init__(self, params):
        assert params.group_id  # or a second model would find the chip taken

    @staticmethod
    def create_params():
        return SimpleNamespace(group_id="")

    def create_infer_model(self, file):
        return _InferModel(file)
