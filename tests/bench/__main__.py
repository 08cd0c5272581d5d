"""Measures the agent beside ffmpeg and motion in one run: `python -m tests.bench`."""

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click
import msgspec

from tests.bench import cameras as simulated
from tests.bench.clip import LOOP_S, ready_clip
from tests.bench.errors import BenchError
from tests.bench.flushes import count_flushes
from tests.bench.machine import this_machine
from tests.bench.pipeline_commands import in_words
from tests.bench.report import Report, Writing
from tests.bench.rounds import BLIND, PIPES, USUAL, WHOLE, Rounds
from tests.bench.startup import idle_costs, start_costs
from tests.bench.systems import broker

CACHE = Path("/var/tmp/poleside-bench")  # outlives a reboot and is on a disk, unlike /tmp


class _Counts(click.ParamType):
    name = "counts"

    def convert(self, value: object, param: object, ctx: object) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            counts = tuple(sorted({int(word) for word in str(value).split(",")}))
        except ValueError:
            counts = (0,)
        if counts[0] < 1:
            raise click.BadParameter("give numbers from 1 on, such as 1,2,4,8")
        return counts


_FILE = click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True)


@click.command()
@click.option("--cameras", "counts", type=_Counts(), default="1,2,4,8", show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option(
    "--seconds",
    type=click.FloatRange(1),
    default=LOOP_S,
    show_default=True,
    help=f"Length of each measurement; our own clip loops every {LOOP_S} s.",
)
@click.option("--main", type=_FILE, help="Other footage for the main streams (MP4, H.264/H.265).")
@click.option("--sub", type=_FILE, help="Other footage for the sub streams.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the report here.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    default=CACHE,
    show_default=True,
    help="Clip and recordings; on a real disk, or nothing is counted as written.",
)
def bench(
    counts: tuple[int, ...],
    rounds: int,
    seconds: float,
    main: Path | None,
    sub: Path | None,
    json_file: Path | None,
    folder: Path,
) -> None:
    """Measure CPU, memory and writes of the agent beside `ffmpeg -c copy` in the same run."""
    if shutil.which("ffmpeg") is None:
        raise BenchError("ffmpeg is not installed, and everything is measured against it.")
    report = run(folder, counts, rounds, seconds, main=main, sub=sub)
    click.echo(report.text())
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")


def run(
    folder: Path,
    counts: Sequence[int],
    rounds: int,
    seconds: float,
    *,
    main: Path | None = None,
    sub: Path | None = None,
) -> Report:
    """Do the whole bench. Raises `BenchError`."""
    machine = this_machine()
    folder.mkdir(parents=True, exist_ok=True)
    clip = ready_clip(folder, main, sub)
    with ExitStack() as stage:
        scratch = Path(stage.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        broker_url, broker_kind = stage.enter_context(broker(scratch))
        _say("import times and an idle agent")
        start = start_costs(tries=5 if rounds > 1 else 1)
        idle = idle_costs(_made(scratch / "idle"), broker_url, seconds)
        stand = stage.enter_context(simulated.cameras(max(counts), clip, folder))
        bench_rounds = Rounds(scratch, broker_url, seconds, clip.main)
        for number in range(rounds):
            for count in counts:
                bench_rounds.run(
                    stand[:count], lambda text, n=number: _say(f"round {n + 1}: {text}")
                )
        flushes = {}
        for count in counts:
            _say(f"flushes, {count} camera(s)")
            place = _made(scratch / f"flushes-{count}")
            flushes[count] = count_flushes(stand[:count], place, broker_url, 2 * seconds)
    processes = bench_rounds.agent_processes()
    return Report(
        machine=machine,
        load_1min_after=round(os.getloadavg()[0], 2),
        broker=broker_kind,
        rounds=rounds,
        seconds=seconds,
        commands={
            PIPES: in_words("lean"),
            USUAL: in_words("usual"),
            WHOLE: in_words("usual", "a capture process | one that looks for motion"),
        },
        systems=bench_rounds.rows(),
        processes=processes,
        start=start,
        idle=idle,
        writing=[
            Writing(
                cameras=row.cameras,
                stream_bytes_per_s=clip.main_bytes_per_s,
                written_bytes_per_s=row.written_bytes_per_s,
                flushes=flushes[row.cameras],
            )
            for row in processes
            if row.process == "camera worker" and row.system == BLIND
        ],
    )


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _say(text: str) -> None:
    click.echo(f"... {text}", err=True)


if __name__ == "__main__":
    try:
        bench()
    except BenchError as error:
        sys.exit(str(error))
