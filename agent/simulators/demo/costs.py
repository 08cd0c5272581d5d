"""What the agent's processes cost: CPU of all of them, dead ones included, and PSS of each."""

import contextlib
from pathlib import Path

import msgspec
import psutil

from agent.app.run_dir import PROCESSES_FILE
from agent.messages.capacity import CAPACITY_FILE, DetectorCapacity
from agent.messages.supervision import ProcessReport


class Costs:
    """Reads the supervisor's process list in the box's run folder."""

    def __init__(self, box_dir: Path) -> None:
        self._run = box_dir / "run"
        self.pss_mib: dict[str, float | None] = {}
        self.cpu_s_per_camera_minute: float | None = None
        self._began_cpu_s = 0.0

    def agent_pids(self) -> dict[str, int]:
        """Return the pid of each of the agent's processes that runs."""
        return {row.name: row.pid for row in self._rows() if row.pid is not None}

    def begin(self) -> None:
        """Count CPU from here: what starting up cost is not the cost of a minute."""
        self._began_cpu_s = sum(_cpu_s(row) for row in self._rows())

    def measure(self, cameras: int, seconds: float, *, is_complete: bool) -> None:
        """Take PSS and CPU now, while everything still runs."""
        rows = self._rows()
        cpu_s = sum(_cpu_s(row) for row in rows) - self._began_cpu_s
        self.pss_mib = {row.name: _pss_mib(row.pid) for row in rows if row.pid is not None}
        if is_complete and seconds > 0 and cameras:
            self.cpu_s_per_camera_minute = round(cpu_s / cameras / (seconds / 60), 3)

    def detector_ms(self) -> float | None:
        """Return the detector's own timing on this machine."""
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            content = (self._run / CAPACITY_FILE).read_bytes()
            return msgspec.json.decode(content, type=DetectorCapacity).inference_ms
        return None

    def _rows(self) -> list[ProcessReport]:
        try:
            content = (self._run / PROCESSES_FILE).read_bytes()
            return msgspec.json.decode(content, type=list[ProcessReport])
        except (OSError, msgspec.MsgspecError):
            return []


def _cpu_s(row: ProcessReport) -> float:
    """Return CPU seconds of a process, with all that died before it in its place."""
    if row.pid is not None:
        with contextlib.suppress(psutil.Error):
            times = psutil.Process(row.pid).cpu_times()
            return row.past_cpu_s + float(times.user + times.system)
    return row.past_cpu_s


def _pss_mib(pid: int) -> float | None:
    with contextlib.suppress(psutil.Error):
        pss_bytes: int = psutil.Process(pid).memory_full_info().pss
        return round(pss_bytes / 1024**2, 1)
    return None
