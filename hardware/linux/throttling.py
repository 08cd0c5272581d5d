"""Is the processor held back by heat? From the kernel's cooling devices and counters."""

from pathlib import Path

from hardware.linux.files import read_int, read_text

# kernel: cpufreq_cooling.c names them "cpufreq-cpuN", "thermal-cpufreq-N" before 5.12; ACPI's is
# "Processor".
_PROCESSOR = ("cpufreq-", "thermal-cpufreq-", "Processor")


def held_back(root: Path) -> bool | None:
    """Return whether a cooling device slows the processor now; None where none could."""
    states = [
        read_int(device / "cur_state")
        for device in (root / "sys/class/thermal").glob("cooling_device*")
        if (read_text(device / "type") or "").startswith(_PROCESSOR)
    ]
    known = [state for state in states if state is not None]
    return any(state > 0 for state in known) if known else None


def held_back_before(root: Path) -> bool | None:
    """Return whether an x86 core was slowed by heat since the boot."""
    cores = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle")
    counts = [read_int(core / "core_throttle_count") for core in cores]
    known = [count for count in counts if count is not None]
    return any(count > 0 for count in known) if known else None
