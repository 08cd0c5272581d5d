"""How fast the processor's cores run: the kernel's cpufreq policies."""

from collections.abc import Iterable
from pathlib import Path

from hardware.interface import ProcessorState
from hardware.linux.files import read_int

_KHZ = 1000  # cpufreq tells kHz (kernel: Documentation/admin-guide/pm/cpufreq)


class CpuClocks:
    """The clocks of all cores; nothing of a GPU or of the memory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self) -> ProcessorState:
        policies = tuple((self._root / "sys/devices/system/cpu/cpufreq").glob("policy[0-9]*"))
        return ProcessorState(
            cpu_mhz=fastest_mhz((policy / "scaling_cur_freq" for policy in policies), _KHZ),
            cpu_max_mhz=fastest_mhz((policy / "scaling_max_freq" for policy in policies), _KHZ),
        )


def fastest_mhz(files: Iterable[Path], per_mhz: int) -> int | None:
    """Return the highest clock the files tell; `per_mhz` of their units are one MHz."""
    known = [clock for file in files if (clock := read_int(file)) is not None]
    return round(max(known) / per_mhz) if known else None
