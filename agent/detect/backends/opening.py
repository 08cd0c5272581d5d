"""Which file an engine runs, and how it is opened: the one table of engines.

A model's own file is for the engines of its suffix; its manifest names further files, `variants`,
that hold the same model for other engines.
"""

from collections.abc import Callable
from pathlib import Path

from agent.core import log
from agent.core.errors import DetectorError
from agent.detect.backends import hailo, onnx, tflite
from agent.detect.backends.interface import Backend
from agent.detect.manifest import Manifest, verified_file
from agent.messages.engines import ON_PROCESSOR, Engine

_log = log.get("detect.backends")

_SUFFIXES = {
    Engine.TFLITE_CPU: ".tflite",
    Engine.EDGE_TPU: ".tflite",
    Engine.ONNX_CPU: ".onnx",
    Engine.ONNX_CUDA: ".onnx",
    Engine.ONNX_TENSORRT: ".onnx",
    Engine.HAILO: ".hef",
}

_OPENERS: dict[Engine, Callable[[Path, int], Backend]] = {
    Engine.TFLITE_CPU: lambda file, threads: tflite.TfliteBackend(file, threads=threads),
    Engine.EDGE_TPU: lambda file, _: tflite.TfliteBackend(file, delegate=tflite.EDGE_TPU),
    Engine.ONNX_CPU: lambda file, threads: onnx.OnnxBackend(file, threads=threads),
    Engine.ONNX_CUDA: lambda file, _: onnx.OnnxBackend(file, provider=onnx.CUDA),
    Engine.ONNX_TENSORRT: lambda file, _: onnx.OnnxBackend(file, provider=onnx.TENSORRT),
    Engine.HAILO: lambda file, _: hailo.HailoBackend(file),
}


def runnable(manifest: Manifest) -> list[Engine]:
    """Return the engines that this model has a file for, whatever the box has."""
    return [engine for engine in Engine if _file_of(manifest, engine) is not None]


def default_engine(manifest: Manifest) -> Engine:
    """Return the processor's engine if the model has a file for it, else any.

    Raises `DetectorError` "detector.backend" for a file of an unknown kind.
    """
    engines = runnable(manifest)
    if not engines:
        raise _no_file(manifest, "no engine at all")
    return min(engines, key=lambda engine: engine not in ON_PROCESSOR)


def open_backend(
    manifest: Manifest, folder: Path | None, engine: Engine, threads: int = 1
) -> Backend:
    """Verify the file that `engine` runs and load it.

    Raises `DetectorError` when there is none, it is not the manifest's, or it can't be run here.
    """
    file = _file_of(manifest, engine)
    if file is None:
        raise _no_file(manifest, engine)
    return _OPENERS[engine](verified_file(folder, *file), threads)


def sound_forms(manifest: Manifest, folder: Path | None, engine: Engine) -> list[Manifest]:
    """Return the forms of the model whose file for `engine` is there and is the manifest's."""
    sound = []
    for form in manifest.forms:
        try:
            file = _file_of(form, engine)
            if file is not None:
                verified_file(folder, *file)
                sound.append(form)
        except DetectorError as error:
            _log.error("file left out", code=error.code, detail=error.message)
    return sound


def _file_of(manifest: Manifest, engine: Engine) -> tuple[str, str] | None:
    """Return the name and the SHA-256 of the file for this engine."""
    for variant in manifest.variants:
        if variant.engine is engine:
            return variant.file, variant.sha256
    if manifest.file.endswith(_SUFFIXES[engine]):
        return manifest.file, manifest.sha256
    return None


def _no_file(manifest: Manifest, engine: str) -> DetectorError:
    return DetectorError(
        "detector.backend",
        f"The model {manifest.model} has no file for {engine}.",
        hint="Name one under `variants` in its manifest, or choose another engine.",
    )
