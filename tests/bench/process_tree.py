"""What a tree of processes costs: CPU time, memory, bytes written, wake-ups. Linux only."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench.errors import BenchError

MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Tree:
    """Root processes, what to call each process below them, and the CPU time of dead ones."""

    roots: Sequence[int]
    name_of: Callable[[psutil.Process], str]
    past_cpu_s: Callable[[], float] = lambda: 0.0


@dataclass(frozen=True, slots=True)
class Cost:
    """One process, or many together, over a window of `seconds`. Memory is as at its end.

    `own_mib` is what nobody else has (USS): what one process more costs.
    """

    seconds: float
    cpu_s: float
    pss_mib: float
    own_mib: float
    written_bytes: int
    wakeups: int


@dataclass(frozen=True, slots=True)
class _Reading:
    name: str
    cpu_s: float
    written_bytes: int
    wakeups: int


def measure(tree: Tree, seconds: float) -> tuple[Cost, dict[str, Cost]]:
    """Wait `seconds`; return the whole tree's cost and each process's, by name."""
    before, past_before_s, began_s = _read(tree), tree.past_cpu_s(), time.monotonic()
    time.sleep(seconds)
    after, past_after_s, took_s = _read(tree), tree.past_cpu_s(), time.monotonic() - began_s
    memory = {pid: psutil.Process(pid).memory_full_info() for pid in after}
    each = {
        now.name: _between(
            before.get(pid), now, took_s, memory[pid].pss / MIB, memory[pid].uss / MIB
        )
        for pid, now in after.items()
    }
    whole = Cost(
        seconds=took_s,
        # Living and dead together: a process that ended in between has moved to the past.
        cpu_s=_cpu_s(after) + past_after_s - _cpu_s(before) - past_before_s,
        pss_mib=sum(cost.pss_mib for cost in each.values()),
        own_mib=sum(cost.own_mib for cost in each.values()),
        written_bytes=sum(cost.written_bytes for cost in each.values()),
        wakeups=sum(cost.wakeups for cost in each.values()),
    )
    return whole, each


def _between(
    before: _Reading | None, now: _Reading, seconds: float, pss_mib: float, own_mib: float
) -> Cost:
    first = before or _Reading(now.name, 0.0, 0, 0)  # born within the window
    return Cost(
        seconds=seconds,
        cpu_s=now.cpu_s - first.cpu_s,
        pss_mib=pss_mib,
        own_mib=own_mib,
        written_bytes=now.written_bytes - first.written_bytes,
        wakeups=now.wakeups - first.wakeups,
    )


def _cpu_s(readings: Mapping[int, _Reading]) -> float:
    return sum(reading.cpu_s for reading in readings.values())


def _read(tree: Tree) -> dict[int, _Reading]:
    readings = {}
    try:
        for root in map(psutil.Process, tree.roots):
            for process in (root, *root.children(recursive=True)):
                readings[process.pid] = _Reading(
                    tree.name_of(process),
                    process_cpu_s(process.pid),
                    process.io_counters().write_bytes,
                    _wakeups(process.pid),
                )
    except (psutil.Error, OSError) as error:
        raise BenchError(f"A measured process ended: {error}") from error
    return readings


def process_cpu_s(pid: int) -> float:
    """Return user and system time of all its threads, ended ones too, to the nanosecond.

    The kernel's CPU clock of another process (clock_getcpuclockid(3)); /proc counts in 10 ms.
    """
    return time.clock_gettime((~pid << 3) | 2)


def _wakeups(pid: int) -> int:
    """Count how often its threads gave the CPU up by themselves; they were woken as often."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        for line in status.read_text("ascii", errors="replace").splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                total += int(line.split()[1])
    return total
