"""The pictures the simulated cameras show: a street that is empty half of the time.

Made once by `python -m tests.bench.clip FOLDER`, in a process of its own, so that the measuring
process never has libav in its memory and takes no share of those pages.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import click

from tests.bench.errors import BenchError

LOOP_S = 8
# Seconds of the drawn scene's cycle: nobody there, then somebody in mid-picture who walks on.
_STILL_S, _WALKING_S = (0.0, 4.0), (8.0, 12.0)


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """One stream as a camera would be set: size, rate, bit rate; a key picture a second."""

    file_name: str
    size_px: tuple[int, int]
    fps: int
    bit_rate_bps: int


MAIN = StreamPlan("main.mp4", (1920, 1080), 15, 1_800_000)
SUB = StreamPlan("sub.mp4", (640, 360), 5, 300_000)


@dataclass(frozen=True, slots=True)
class Clip:
    """The files a camera loops, and what their packets hold."""

    main: Path
    sub: Path
    main_bytes_per_s: float


def ready_clip(folder: Path, main: Path | None = None, sub: Path | None = None) -> Clip:
    """Return the given footage, or our own clip, made in `folder` when it is not there yet."""
    if (main is None) != (sub is None):
        raise BenchError("Give both --main and --sub, or neither.")
    if main is None or sub is None:
        main, sub = folder / MAIN.file_name, folder / SUB.file_name
        if not (main.exists() and sub.exists()):
            _in_own_process("make", str(folder))
    return Clip(main, sub, float(_in_own_process("rate", str(main))))


def _in_own_process(*arguments: str) -> str:
    command = [sys.executable, "-m", "tests.bench.clip", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def _write(plan: StreamPlan, folder: Path) -> None:
    import av

    gop = f"keyint={plan.fps}:min-keyint={plan.fps}:scenecut=0:bframes=0"
    scratch = folder / f"{plan.file_name}.part"
    with av.open(str(scratch), "w", format="mp4") as container:
        rate = str(plan.bit_rate_bps)
        options = {"preset": "veryfast", "maxrate": rate, "bufsize": rate, "x264-params": gop}
        stream = container.add_stream("libx264", rate=plan.fps, options=options)
        stream.width, stream.height = plan.size_px
        stream.pix_fmt, stream.bit_rate = "yuv420p", plan.bit_rate_bps
        for number, picture in enumerate(_pictures(plan)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, plan.fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    scratch.rename(folder / plan.file_name)


def _pictures(plan: StreamPlan) -> Iterator:
    from agent.simulators.drawn_scene import frames

    for number, picture in enumerate(frames(*plan.size_px, plan.fps, _WALKING_S[1])):
        at_s = number / plan.fps
        if any(begin_s <= at_s < end_s for begin_s, end_s in (_STILL_S, _WALKING_S)):
            yield picture


def _packet_bytes_per_s(file: Path) -> float:
    import av

    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        packets = [packet.size for packet in container.demux(stream) if packet.size]
        return float(sum(packets) * stream.average_rate / len(packets))


@click.group()
def _steps() -> None:
    """Steps that need libav."""


@_steps.command("make")
@click.argument("folder", type=click.Path(path_type=Path))
def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for plan in (MAIN, SUB):
        _write(plan, folder)


@_steps.command("rate")
@click.argument("file", type=click.Path(path_type=Path))
def _rate(file: Path) -> None:
    click.echo(_packet_bytes_per_s(file))


if __name__ == "__main__":
    _steps()
