"""What one inference costs on each engine of this box: each is tried in a process of its own.

A driver that hangs or crashes takes only its trial along, and the table says so. `poleside box
accelerators` prints it; run as a module it is one trial: `python -m agent.detect.probe ENGINE
THREADS [MODEL]`.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from agent.core.errors import DetectorError
from agent.detect.manifest import load_manifest
from agent.messages.engines import ON_PROCESSOR, Engine

THREADS = (1, 2, 4)
TRIAL_LIMIT_S = 60.0
_INFERENCES = 20
_WARM = 3


class Trial(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One engine on this box. `ms` is the median of one inference, `cpu_ms` what all cores spent.

    Without figures `why` says what is missing or went wrong.
    """

    engine: Engine
    threads: int
    name: str = ""
    ms: float | None = None
    cpu_ms: float | None = None
    why: str = ""


def probe(
    engines: Sequence[Engine],
    threads: Sequence[int] = THREADS,
    model: Path | None = None,
    limit_s: float = TRIAL_LIMIT_S,
) -> Iterator[Trial]:
    """Yield one trial per engine and, on the processor, thread count, as soon as it is measured."""
    for engine in engines:
        for count in threads if engine in ON_PROCESSOR else [1]:
            yield _tried(engine, count, model, limit_s)


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Return what was measured, first what leaves most of the processor to others."""
    measured = [trial for trial in trials if trial.cpu_ms is not None]
    return sorted(measured, key=lambda trial: (trial.cpu_ms or 0.0, trial.threads))


def _tried(engine: Engine, threads: int, model: Path | None, limit_s: float) -> Trial:
    words = [sys.executable, "-m", __name__, engine, str(threads), *([str(model)] if model else [])]
    failed = Trial(engine=engine, threads=threads)
    try:
        done = subprocess.run(words, capture_output=True, timeout=limit_s, check=False)  # noqa: S603 - our own module
        trial = msgspec.json.decode(done.stdout, type=Trial)
    except subprocess.TimeoutExpired:
        return msgspec.structs.replace(failed, why=f"hangs: no answer in {limit_s:g} s")
    except (OSError, msgspec.MsgspecError):
        return msgspec.structs.replace(failed, why="its process ended without an answer")
    return trial


def measure(engine: Engine, threads: int, model: Path | None = None) -> Trial:
    """Load the model on `engine` in this process and time it."""
    import numpy as np  # noqa: PLC0415 - only a trial's process pays for the engine

    from agent.detect.backends.opening import open_backend  # noqa: PLC0415

    try:
        manifest = load_manifest(model)
        backend = open_backend(manifest, model, engine, threads)
        image = np.full(
            (manifest.input.height_px, manifest.input.width_px, 3),
            manifest.input.padding_grey,
            np.uint8,
        )
        walls, cpus = [], []
        for _ in range(_WARM + _INFERENCES):
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            backend.invoke(image)
            walls.append(time.perf_counter() - wall_s)
            cpus.append(time.process_time() - cpu_s)
    except DetectorError as error:
        return Trial(engine=engine, threads=threads, why=error.message)
    return Trial(
        engine=engine,
        threads=threads,
        name=backend.name,
        ms=round(float(np.median(walls[_WARM:])) * 1000, 2),
        cpu_ms=round(float(np.median(cpus[_WARM:])) * 1000, 2),
    )


if __name__ == "__main__":
    told = measure(
        Engine(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]) if sys.argv[3:] else None
    )
    sys.stdout.buffer.write(msgspec.json.encode(told))
