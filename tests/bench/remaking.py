"""What it costs to make one recorded segment anew, as a widely used recorder does with each."""

import resource
import subprocess
from pathlib import Path

from tests.bench.errors import BenchError
from tests.bench.pipeline_commands import SEGMENT_S, remaking


def finished_segment(main: Path, folder: Path) -> Path:
    """Return a segment of the usual length, cut from a clip by packet copy."""
    segment = folder / "segment.mp4"
    start = ("ffmpeg", "-nostdin", "-stream_loop", "-1", "-i", str(main))
    _run((*start, "-t", str(SEGMENT_S), "-c", "copy", str(segment)))
    return segment


def remaking_cpu_s(segment: Path) -> float:
    """Make it anew once; return the CPU seconds of the process that did it."""
    made = segment.with_suffix(".made.mp4")
    before_s = _cpu_s_of_ended_children()
    _run(remaking(segment, made))
    made.unlink()
    return _cpu_s_of_ended_children() - before_s


def _run(command: tuple[str, ...]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)} failed:\n{done.stderr.decode(errors='replace')}")


def _cpu_s_of_ended_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
