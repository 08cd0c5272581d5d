"""How often the agent makes the disk flush: counted by strace in a short run of its own."""

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.cameras import Camera
from tests.bench.errors import BenchError
from tests.bench.systems import agent

_CALL = re.compile(r"^\d+\s+(fsync|fdatasync)\(", re.MULTILINE)
_ATTACHED_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class FlushCount:
    """fsync and fdatasync of some processes, a minute."""

    who: str
    fsync_per_minute: float
    fdatasync_per_minute: float


def count_flushes(
    cameras: Sequence[Camera], folder: Path, broker_url: str, seconds: float
) -> list[FlushCount] | str:
    """Return the counts, per camera worker and for the core; or why they can't be had."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    with agent(cameras, folder, broker_url, detect=True) as run:
        watched = {
            "camera worker": _Strace(run.pids("camera-"), folder / "workers.strace"),
            "core": _Strace(run.pids("core"), folder / "core.strace"),
        }
        try:
            for strace in watched.values():
                strace.wait_until_attached()
        except BenchError as error:
            return str(error)
        time.sleep(seconds)
        return [strace.end(who, seconds) for who, strace in watched.items()]


class _Strace:
    def __init__(self, pids: Sequence[int], output: Path) -> None:
        self._pids, self._output = pids, output
        command = ["strace", "-f", "-e", "trace=fsync,fdatasync", "-o", str(output)]
        command += [word for pid in pids for word in ("-p", str(pid))]
        self._log = output.with_suffix(".log")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stderr=log)

    def wait_until_attached(self) -> None:
        until_s = time.monotonic() + _ATTACHED_WITHIN_S
        while self._log.read_text("utf-8").count(" attached") < len(self._pids):
            if self._process.poll() is not None or time.monotonic() > until_s:
                raise BenchError(f"strace could not attach: {self._log.read_text('utf-8')}")
            time.sleep(0.05)

    def end(self, who: str, seconds: float) -> FlushCount:
        self._process.send_signal(signal.SIGINT)
        self._process.wait()
        calls = _CALL.findall(self._output.read_text("utf-8"))
        per_minute = 60 / seconds / len(self._pids)
        return FlushCount(
            who,
            fsync_per_minute=calls.count("fsync") * per_minute,
            fdatasync_per_minute=calls.count("fdatasync") * per_minute,
        )
