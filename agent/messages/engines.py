"""The engines a detector may run on: word of the settings, the capacity note, and telemetry."""

from enum import StrEnum


class Engine(StrEnum):
    """One way to run a model; the word is also what `poleside box accelerators` prints."""

    TFLITE_CPU = "tflite-cpu"
    EDGE_TPU = "edge-tpu"
    ONNX_CPU = "onnx-cpu"
    ONNX_CUDA = "onnx-cuda"
    ONNX_TENSORRT = "onnx-tensorrt"
    HAILO = "hailo"


ON_PROCESSOR = frozenset({Engine.TFLITE_CPU, Engine.ONNX_CPU})
