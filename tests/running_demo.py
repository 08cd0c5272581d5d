"""`poleside demo` as a person runs it: a process with a report, and nothing left behind it."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

MARK = "POLESIDE_TEST_MARK"
ENDS_WITHIN_S = 60.0


class RunningDemo:
    """Starts at once, on any free ports, with drawn footage out of `cache`."""

    def __init__(self, folder: Path, cache: Path, *arguments: str):
        self.mark, self.data_dir = secrets.token_hex(8), folder / "demo"
        self.report_file = folder / "report.json"
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "agent.local.cli.main", "demo", "--headless"),
                *("--footage", "drawn", "--port", "0", "--box-port", "0"),
                *("--data-dir", str(self.data_dir), "--report", str(self.report_file)),
                *arguments,
            ],
            env={**os.environ, "XDG_CACHE_HOME": str(cache), MARK: self.mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        self.said: list[str] = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.end(signal.SIGTERM)
        self.process.stdout.close()
        for process in self.left_behind():
            process.kill()

    def until_said(self, words: str) -> str:
        """Return the first line with `words`."""
        for line in self.process.stdout:
            self.said.append(line)
            if words in line:
                return line
        raise AssertionError(f"it never said {words!r}:\n{''.join(self.said)}")

    def until_there(self, name: str, within_s: float = 30.0) -> None:
        """Wait for a file of the data folder."""
        deadline_s = time.monotonic() + within_s
        while not (self.data_dir / name).exists():
            assert time.monotonic() < deadline_s, f"{name} never came"
            time.sleep(0.02)

    def page(self) -> str:
        """Return the address of the center's page once all is well."""
        return self.until_said("The page: ").split()[-1]

    def end(self, number: int = signal.SIGINT) -> int:
        """Stop it as Ctrl-C does; return its exit code."""
        self.process.send_signal(number)
        return self.wait(0)

    def wait(self, seconds: float) -> int:
        """Let it run for `seconds`, and end by itself; return its exit code."""
        self.said += self.process.communicate(timeout=seconds + ENDS_WITHIN_S)[0] or ""
        return self.process.returncode

    def report(self) -> dict:
        return json.loads(self.report_file.read_bytes())

    def left_behind(self) -> list[psutil.Process]:
        """Return every process that this demo started and that is still there."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark:
                    found.append(process)
            except psutil.Error:
                continue
        return found
