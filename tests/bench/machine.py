"""Which machine and which versions the figures are of."""

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("poleside", "av", "numpy", "ai-edge-litert", "msgspec", "aiomqtt")


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts without which a figure means little. `load_1min` is at the start."""

    cores: int
    cpu: str
    memory_mib: int
    kernel: str
    os: str
    python: str
    ffmpeg: str
    motion: str
    packages: dict[str, str]
    load_1min: float


def this_machine() -> Machine:
    """Look around."""
    return Machine(
        cores=os.cpu_count() or 0,
        cpu=_field(Path("/proc/cpuinfo"), "model name") or platform.machine(),
        memory_mib=int(_field(Path("/proc/meminfo"), "MemTotal").split()[0]) // 1024,
        kernel=platform.release(),
        os=platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        python=platform.python_version(),
        ffmpeg=_first_line("ffmpeg", "-version"),
        motion=_first_line("motion", "-h"),
        packages={name: version(name) for name in _PACKAGES},
        load_1min=round(os.getloadavg()[0], 2),
    )


def _field(file: Path, name: str) -> str:
    for line in file.read_text("utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _first_line(command: str, option: str) -> str:
    if shutil.which(command) is None:
        return "not installed"
    done = subprocess.run([command, option], capture_output=True, text=True, check=False)
    lines = (done.stdout or done.stderr).splitlines()
    return lines[0].split(" Copyright")[0].rstrip(" ,") if lines else "unknown"
