"""Which engines a box tries for a model: what the model has a file for, and the board a chip."""

from agent.detect.backends.opening import runnable
from agent.detect.manifest import Manifest
from agent.messages.engines import ON_PROCESSOR, Engine
from hardware.interface import Accelerator, AcceleratorKind

_CHIPS: dict[Engine, frozenset[AcceleratorKind]] = {
    Engine.EDGE_TPU: frozenset({AcceleratorKind.EDGE_TPU_USB, AcceleratorKind.EDGE_TPU_PCIE}),
    Engine.HAILO: frozenset({AcceleratorKind.HAILO}),
    Engine.ONNX_CUDA: frozenset({AcceleratorKind.NVIDIA_GPU}),
    Engine.ONNX_TENSORRT: frozenset({AcceleratorKind.NVIDIA_GPU}),
}


def engines_here(manifest: Manifest, chips: tuple[Accelerator, ...]) -> list[Engine]:
    """Return the engines worth a trial on this box, for this model."""
    kinds = {chip.kind for chip in chips}
    return [
        engine for engine in runnable(manifest) if engine in ON_PROCESSOR or kinds & _CHIPS[engine]
    ]


def engines_of(chip: Accelerator) -> list[Engine]:
    """Return the engines that run on a chip."""
    return [engine for engine, kinds in _CHIPS.items() if chip.kind in kinds]
