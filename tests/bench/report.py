"""What a bench run found: one value for the JSON file, and the same as aligned tables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.bench.flushes import FlushCount
from tests.bench.machine import Machine
from tests.bench.rounds import Measured, ProcessCost
from tests.bench.startup import IdleCost, StartCost


@dataclass(frozen=True, slots=True)
class Writing:
    """What recording writes, a camera. Bytes are as the kernel counts pages made dirty."""

    cameras: int
    stream_bytes_per_s: float
    written_bytes_per_s: float
    flushes: list[FlushCount] | str

    @property
    def written_per_stream_byte(self) -> float:
        """Bytes sent to the disk by a camera worker per byte of video packets."""
        return self.written_bytes_per_s / self.stream_bytes_per_s


@dataclass(frozen=True, slots=True)
class Report:
    """Everything, in the order it is printed."""

    machine: Machine
    load_1min_after: float
    broker: str
    rounds: int
    seconds: float
    commands: dict[str, str]
    systems: list[Measured]
    processes: list[ProcessCost]
    start: list[StartCost]
    idle: list[IdleCost]
    writing: list[Writing]

    def text(self) -> str:
        """Return the tables."""
        machine = self.machine
        head = (
            f"{machine.cores} cores of {machine.cpu}, load {machine.load_1min} before, "
            f"{self.load_1min_after} after; "
            f"{machine.os}, Linux {machine.kernel}, Python {machine.python}\n"
            f"{machine.ffmpeg}; {machine.motion}; broker: {self.broker}\n"
            f"Median of {self.rounds} round(s) of {self.seconds:g} s. CPU is user + system time of "
            "the whole process tree; simulated cameras and broker are not in it."
        )
        return "\n\n".join([head, *self._tables()]) + "\n"

    def _tables(self) -> Iterable[str]:
        yield _table(
            [
                "system",
                "cameras",
                "CPU s/camera-min",
                "of rounds",
                "x copy",
                "x floor",
                "detector off / it",
                "PSS MiB",
                "per added camera",
            ],
            [
                [
                    row.system,
                    str(row.cameras),
                    f"{row.cpu_s:.2f}",
                    f"{min(row.cpu_s_of_rounds):.2f}-{max(row.cpu_s_of_rounds):.2f}",
                    f"{row.times_copy:.1f}",
                    f"{row.times_floor:.2f}",
                    f"{row.of_it:.2f}",
                    f"{row.pss_mib:.1f}",
                    _or_dash(row.pss_mib_per_added_camera),
                ]
                for row in self.systems
            ],
        )
        for system, commands in self.commands.items():
            yield f"{system}, for each camera: {commands}"
        yield _table(
            [
                "process at work",
                "of",
                "cameras",
                "CPU s/min",
                "PSS MiB",
                "own MiB",
                "wake-ups/s",
                "KiB/s written",
            ],
            [
                [
                    row.process,
                    row.system,
                    str(row.cameras),
                    f"{row.cpu_s_per_minute:.2f}",
                    f"{row.pss_mib:.1f}",
                    f"{row.own_mib:.1f}",
                    f"{row.wakeups_per_s:.0f}",
                    f"{row.written_bytes_per_s / 1024:.1f}",
                ]
                for row in self.processes
            ],
        )
        yield _table(
            ["fresh interpreter with the imports of", "wall ms", "CPU ms"],
            [[row.what, f"{row.wall_ms:.0f}", f"{row.cpu_ms:.0f}"] for row in self.start],
        )
        yield _table(
            ["process idle", "PSS MiB", "CPU s/min", "wake-ups/s"],
            [
                [
                    row.process,
                    f"{row.pss_mib:.1f}",
                    f"{row.cpu_s_per_minute:.2f}",
                    f"{row.wakeups_per_s:.1f}",
                ]
                for row in self.idle
            ],
        )
        yield "\n".join(_writing_text(writing) for writing in self.writing)


def _writing_text(writing: Writing) -> str:
    told = (
        f"{writing.cameras} camera(s): written per stream byte by a worker "
        f"{writing.written_per_stream_byte:.2f} ({writing.written_bytes_per_s / 1024:.0f} KiB/s "
        f"for {writing.stream_bytes_per_s / 1024:.0f} KiB/s of packets); flushes a minute: "
    )
    if isinstance(writing.flushes, str):
        return told + f"not counted, {writing.flushes}"
    return told + "; ".join(
        f"{count.who} {count.fdatasync_per_minute:.0f} fdatasync"
        f" and {count.fsync_per_minute:.0f} fsync"
        for count in writing.flushes
    )


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align columns: words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    is_number = [all(row[i][:1] in "-0123456789" for row in rows) for i in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        placed = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, is_number, strict=True)
        )
        return "  ".join(placed).rstrip()

    return "\n".join([line(heads), "  ".join("-" * width for width in widths), *map(line, rows)])
