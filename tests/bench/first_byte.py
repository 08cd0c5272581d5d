"""How soon the first byte of a clip comes: `python -m tests.bench.first_byte`.

From a recording of some hours, at random times: inside a running process, as a server would, and
from a cold start of `poleside clip stream`. Wall-clock time, so the machine should be quiet.
"""

import io
import random
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

import av
import click

from agent.buffer import reading
from agent.buffer.index import Index, Moment, RunStart, SegmentEnd
from agent.buffer.segment_file import SegmentFile, open_name
from agent.buffer.timekeeper import RecordedTime
from agent.clips.export import ClipSource, stream_clip
from agent.core.clock import SystemClock
from tests.bench.clip import LOOP_S, ready_clip

CAMERA = "gate"


class _FirstByte(io.RawIOBase):
    """Takes what is written and notes when it began."""

    def __init__(self) -> None:
        self.at_s: float | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.at_s = self.at_s or time.monotonic()
        return len(memoryview(data))  # type: ignore[arg-type]


def record(data_dir: Path, clip: Path, hours: float) -> tuple[datetime, datetime]:
    """Fill a camera's folder with links to one segment; return the time it covers."""
    folder = data_dir / "cameras" / CAMERA
    folder.mkdir(parents=True)
    index = Index(folder)
    until = SystemClock().utc_now()
    since = until - timedelta(hours=hours)
    first = folder / "first.open.mp4"
    with av.open(str(clip)) as source:
        file = SegmentFile(first, source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None and packet.size:
                file.mux(packet)
        file.finish(folder / "first.mp4")
    at = since

    def moment() -> Moment:
        at_us = round(at.timestamp() * 1e6)
        return Moment(at_us, at_us, "boot", RecordedTime.SYNCED)

    run_id = index.begin_run(RunStart("main", "h264", 1, 1, moment()))
    previous = None
    while at < until:
        path = folder / "video" / open_name("main", run_id, at).replace(".open", "")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.hardlink_to(folder / "first.mp4")
        relative = path.relative_to(folder).as_posix()
        segment_id = index.next_segment(run_id, relative, moment(), previous)
        previous = SegmentEnd(
            segment_id, relative, file.duration_us, file.frames, path.stat().st_size
        )
        at += timedelta(microseconds=file.duration_us)
    index.close()
    return since, until


def inside_s(data_dir: Path, begin: datetime) -> float:
    """Return how long a clip's first byte takes in a process that is already there."""
    began_s, sink = time.monotonic(), _FirstByte()
    end = begin + timedelta(seconds=60)
    _, found = reading.for_clip(data_dir / "cameras" / CAMERA, begin, end)
    stream_clip([ClipSource(one.path, one.start_at) for one in found], begin, end, sink)
    assert sink.at_s is not None
    return sink.at_s - began_s


def cold_s(data_dir: Path, begin: datetime) -> float:
    """Return how long it takes with the start of the program."""
    end = begin + timedelta(seconds=60)
    words = ("clip", "stream", "--camera", CAMERA, "--data-dir", data_dir)
    span = ("--from", begin.isoformat(), "--to", end.isoformat())
    began_s = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "agent.local.cli.main", *map(str, (*words, *span))],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        took_s = time.monotonic() - began_s
        process.kill()
    return took_s


@click.command()
@click.option("--hours", type=float, default=24.0, show_default=True, help="Length of the ring.")
@click.option("--times", type=int, default=20, show_default=True, help="Clips asked for.")
def bench(hours: float, times: int) -> None:
    """Print median and worst first byte, inside a process and from a cold start."""
    chance = random.Random(1)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        clip = ready_clip(Path(scratch)).main
        since, _ = record(Path(scratch) / "box", clip, hours)
        room_s = hours * 3600 - 120 - LOOP_S
        begins = [since + timedelta(seconds=chance.random() * room_s) for _ in range(times)]
        for name, measure in (("in a running process", inside_s), ("cold start", cold_s)):
            took = sorted(measure(Path(scratch) / "box", begin) for begin in begins)
            median_ms, worst_ms = took[len(took) // 2] * 1000, took[-1] * 1000
            click.echo(f"first byte, {name}: median {median_ms:.0f} ms, worst {worst_ms:.0f} ms")


if __name__ == "__main__":
    bench()
