"""Faults at single system calls of a running process, by strace's `inject`; and their census."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CALLS = "openat,read,write,writev,pwrite64,fsync,fdatasync,ftruncate,rename,unlink,mkdir,pread64"
_LINE = re.compile(r"^(\d+) +(\w+)\(")


@contextmanager
def attached(pid: int, out: Path, *options: str) -> Iterator[None]:
    """Have strace on the process and its threads; its lines go to `out`."""
    command = ["strace", "-f", "-p", str(pid), "-o", str(out), "-e", f"trace={CALLS}", *options]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    try:
        line = tracer.stderr.readline()
        if "attached" not in line:
            raise RuntimeError(f"strace: {line}")
        yield
    finally:
        tracer.terminate()
        tracer.wait()
        tracer.stderr.close()


def failing(call: str, code: str, when: int | str) -> tuple[str, str]:
    """Return the options that fail the `when`-th such call of each thread; "1+" is each of them."""
    return "-e", f"inject={call}:error={code}:when={when}"


def census(out: Path) -> dict[str, int]:
    """Return for each system call how often the thread that made most of them made it."""
    counts = Counter(match.groups() for line in _lines(out) if (match := _LINE.match(line)))
    most: dict[str, int] = {}
    for (_, call), count in counts.items():
        most[call] = max(most.get(call, 0), count)
    return most


def injected(out: Path) -> list[str]:
    """Return the lines of the calls that were made to fail."""
    return [line for line in _lines(out) if "INJECTED" in line]


def _lines(out: Path) -> list[str]:
    return out.read_text(errors="replace").splitlines()
