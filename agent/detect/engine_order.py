"""In which order a model's engines are tried on this box: measured once, then remembered."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from agent.core.errors import PolesideError
from agent.core.log import get
from agent.core.whole_file import write_whole
from agent.detect.manifest import Manifest
from agent.detect.probe import Trial, probe, ranked
from agent.messages.engines import ON_PROCESSOR, Engine

MEASURED_FILE = "engines.json"
_LIMIT_S = 15.0  # a trial at the start of the detect process, which is killed when silent for 20
_log = get("detect.engines")


def named_first(named: Engine, engines: Sequence[Engine]) -> list[Engine]:
    """Return the engine that the settings name, then the processor's for when it fails."""
    return [named, *(one for one in engines if one in ON_PROCESSOR and one is not named)]


def measured_order(
    engines: Sequence[Engine],
    manifest: Manifest,
    folder: Path,
    memory: Path,
    threads: int,
    tell: Callable[[], None],
) -> list[Engine]:
    """Return the engines that work here, first what leaves most of the processor to others.

    One engine is not measured: there is nothing to choose. `tell` is called between trials. When
    all work, what was measured is kept in `memory` until the model or the choice changes.
    """
    if len(engines) < 2:
        return list(engines)
    file = memory / f"{manifest.sha256[:16]}-{threads}-{MEASURED_FILE}"
    trials = _remembered(file, engines)
    if not trials:
        for trial in probe(engines, [threads], folder, _LIMIT_S):
            tell()
            trials.append(trial)
            _log.info("engine tried", engine=trial.engine, ms=trial.ms, why=trial.why)
        if all(trial.ms is not None for trial in trials):  # a chip that failed has another chance
            _remember(file, trials)
    best = [trial.engine for trial in ranked(trials)]
    return best or [engine for engine in engines if engine in ON_PROCESSOR]


def _remembered(file: Path, engines: Sequence[Engine]) -> list[Trial]:
    try:
        trials = msgspec.json.decode(file.read_bytes(), type=list[Trial])
    except (OSError, msgspec.MsgspecError):
        return []
    return trials if {trial.engine for trial in trials} == set(engines) else []


def _remember(file: Path, trials: list[Trial]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, msgspec.json.encode(trials))
    except (OSError, PolesideError) as error:
        _log.warning("measured engines not kept", detail=str(error))
