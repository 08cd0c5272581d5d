"""What starting costs: each process's imports in a fresh interpreter, and each process idle."""

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.errors import BenchError
from tests.bench.process_tree import measure
from tests.bench.systems import idle_agent

_BARE = "bare Python"
# What each process has loaded when it begins its work. All but the core and the command line are
# forked from the supervisor, so only what they load beyond it is paid again.
_IMPORTS = {
    _BARE: ["-c", "pass"],
    "supervisor": ["-c", "import agent.app.supervisor, agent.app.camera_process"],
    "camera worker": ["-c", "import agent.app.camera_process"],
    "detect": ["-c", "import agent.app.detect_process, ai_edge_litert.interpreter"],
    "core": ["-c", "import agent.app.core_process"],
    "poleside --help": ["-m", "agent.local.cli.main", "--help"],
}


@dataclass(frozen=True, slots=True)
class StartCost:
    """Median over fresh interpreters; `cpu_ms` is user and system time of the whole process."""

    what: str
    wall_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class IdleCost:
    """One process of an agent whose only camera is switched off."""

    process: str
    pss_mib: float
    cpu_s_per_minute: float
    wakeups_per_s: float


def start_costs(tries: int) -> list[StartCost]:
    """Time each process's imports `tries` times, in turn, so that noise meets all alike."""
    seen: dict[str, list[tuple[float, float]]] = {what: [] for what in _IMPORTS}
    for _ in range(tries):
        for what, arguments in _IMPORTS.items():
            seen[what].append(_once([sys.executable, *arguments]))
    return [
        StartCost(
            what,
            wall_ms=statistics.median(wall_ms for wall_ms, _ in times),
            cpu_ms=statistics.median(cpu_ms for _, cpu_ms in times),
        )
        for what, times in seen.items()
    ]


def _once(command: list[str]) -> tuple[float, float]:
    began_s = time.monotonic()
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # as `poleside run` sets it
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise BenchError(f"{' '.join(command)} failed")
    return (time.monotonic() - began_s) * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def idle_costs(folder: Path, broker_url: str, seconds: float) -> list[IdleCost]:
    """Run an agent with nothing to do and look at each of its processes."""
    with idle_agent(folder, broker_url) as run:
        _, each = measure(run.tree, seconds)
    return [
        IdleCost(
            process="camera worker" if name.startswith("camera-") else name,
            pss_mib=cost.pss_mib,
            cpu_s_per_minute=cost.cpu_s / cost.seconds * 60,
            wakeups_per_s=cost.wakeups / cost.seconds,
        )
        for name, cost in each.items()
    ]
