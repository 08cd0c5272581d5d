"""A Jetson's own GPU: a platform device, whose place moves with NVIDIA's kernels."""

from dataclasses import replace
from pathlib import Path

from hardware.interface import ProcessorState
from hardware.linux.files import read_int
from hardware.linux.processors import CpuClocks, fastest_mhz

# As of JetPack 6 below the device tree's bus, as of 5 a platform device, before that under the
# chip's own name (gp10b, gv11b, ga10b) or `gpu.0`.
_PLACES = (
    "sys/devices/platform/bus@0/*.gpu",
    "sys/devices/platform/*.gpu",
    "sys/devices/platform/*.g[apv]1[01]b",
    "sys/devices/*.gpu",
    "sys/devices/*.g[apv]1[01]b",
    "sys/devices/gpu.0",
)
# Orin's is for root alone, in debugfs; Thor's for everybody, in devfreq.
_MEMORY_CLOCKS = ("sys/class/devfreq/bwmgr/cur_freq", "sys/kernel/debug/bpmp/debug/clk/emc/rate")
_HZ = 1_000_000  # devfreq and the clock framework tell Hz
_LOAD_FULL = 1000  # NVIDIA's driver tells its load in per mille


def gpu_folder(root: Path) -> Path | None:
    """Return the GPU's folder, None where there is none."""
    return next((found for place in _PLACES for found in sorted(root.glob(place))), None)


class TegraClocks:
    """What `tegrastats` tells of load and clocks, read from the files it comes from.

    A GPU that sleeps may refuse to tell its load: unknown, which is not 0. The load of the memory
    is left out: its file is root's and its unit is documented nowhere.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._cores = root, CpuClocks(root)

    def read(self) -> ProcessorState:
        state, gpu = self._cores.read(), gpu_folder(self._root)
        memory_mhz = fastest_mhz((self._root / clock for clock in _MEMORY_CLOCKS), _HZ)
        if gpu is None:
            return replace(state, memory_mhz=memory_mhz)
        return replace(
            state,
            gpu_load_pct=_load_pct(gpu),
            gpu_mhz=fastest_mhz(gpu.glob("devfreq/*/cur_freq"), _HZ),
            gpu_max_mhz=fastest_mhz(gpu.glob("devfreq/*/max_freq"), _HZ),
            memory_mhz=memory_mhz,
        )


def _load_pct(gpu: Path) -> float | None:
    load = read_int(gpu / "load")
    if load is None or not 0 <= load <= _LOAD_FULL:
        return None
    return round(100 * load / _LOAD_FULL, 1)
