"""Runs every system in turn, round after round, and keeps the medians."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.bench.cameras import Camera
from tests.bench.pipeline_commands import SEGMENT_S
from tests.bench.process_tree import Cost, Tree, measure
from tests.bench.remaking import finished_segment, remaking_cpu_s
from tests.bench.systems import agent, ffmpeg_floor, motion, pipeline, whole_pipeline

AGENT, BLIND, RECORD = "poleside", "poleside, detector off", "poleside, recording only"
COPY, FLOOR = "ffmpeg -c copy", "ffmpeg -c copy + decode sub"
PIPES, USUAL = "ffmpeg pipes + Python motion", "ffmpeg pipes + OpenCV motion"
WHOLE = "ffmpeg pipes, capture + OpenCV motion"
REMADE = f"{WHOLE} + remade segments"
MOTION = "motion (Debian)"
ORDER = (AGENT, BLIND, RECORD, COPY, FLOOR, PIPES, USUAL, WHOLE, REMADE, MOTION)

Starter = Callable[[Sequence[Camera], Path], AbstractContextManager[Tree]]


@dataclass(frozen=True, slots=True)
class Measured:
    """One row: medians over the rounds. CPU in seconds per camera and minute.

    `of_it`: what the agent without its detector costs, as a share of this.
    """

    system: str
    cameras: int
    cpu_s: float
    cpu_s_of_rounds: tuple[float, ...]
    times_copy: float
    times_floor: float
    of_it: float
    pss_mib: float
    pss_mib_per_added_camera: float | None


@dataclass(frozen=True, slots=True)
class ProcessCost:
    """One process of the agent in those runs; a camera worker's is the median of all workers."""

    system: str
    cameras: int
    process: str
    cpu_s_per_minute: float
    pss_mib: float
    own_mib: float
    wakeups_per_s: float
    written_bytes_per_s: float


@dataclass(frozen=True, slots=True)
class _Sample:
    whole: Cost
    each: Mapping[str, Cost]


class Rounds:
    """Collects samples by system and number of cameras."""

    def __init__(self, folder: Path, broker_url: str, seconds: float, main: Path) -> None:
        """`main`: what the cameras' main streams show."""
        self._folder, self._broker_url, self._seconds = folder, broker_url, seconds
        self._segment = finished_segment(main, folder)
        self._samples: dict[tuple[str, int], list[_Sample]] = {}

    def run(self, cameras: Sequence[Camera], say: Callable[[str], None]) -> None:
        """Measure every system once on these cameras."""
        for system, start in self._systems():
            with TemporaryDirectory(dir=self._folder) as name, start(cameras, Path(name)) as tree:
                whole, each = measure(tree, self._seconds)
            self._keep(system, len(cameras), _Sample(whole, each))
            cpu_s = _cpu_s_per_camera_minute(whole, len(cameras))
            say(f"{system}, {len(cameras)} camera(s): {cpu_s:.2f} CPU s per camera-minute")

    def _systems(self) -> Iterator[tuple[str, Starter]]:
        yield AGENT, self._agent(detect=True)
        yield BLIND, self._agent(detect=False)
        yield RECORD, self._agent(detect=False, look=False)
        yield FLOOR, ffmpeg_floor
        yield PIPES, partial(pipeline, kind="lean")
        if find_spec("cv2") and find_spec("scipy"):
            yield USUAL, partial(pipeline, kind="usual")
            yield WHOLE, whole_pipeline
        if shutil.which("motion"):
            yield MOTION, motion

    def _agent(self, *, detect: bool, look: bool = True) -> Starter:
        @contextmanager
        def start(cameras: Sequence[Camera], folder: Path) -> Iterator[Tree]:
            with agent(cameras, folder, self._broker_url, detect=detect, look=look) as run:
                yield run.tree

        return start

    def _keep(self, system: str, cameras: int, sample: _Sample) -> None:
        self._samples.setdefault((system, cameras), []).append(sample)
        if system == FLOOR:
            copying = {name: c for name, c in sample.each.items() if name.startswith("copy-")}
            self._keep(COPY, cameras, _Sample(_sum(copying.values()), copying))
        if system == WHOLE:
            segments = cameras * sample.whole.seconds / SEGMENT_S
            cpu_s = sample.whole.cpu_s + segments * remaking_cpu_s(self._segment)
            self._keep(REMADE, cameras, _Sample(replace(sample.whole, cpu_s=cpu_s), sample.each))

    def rows(self) -> list[Measured]:
        """Return one row a system and number of cameras."""
        counts = sorted({cameras for _, cameras in self._samples})
        return [
            self._row(system, cameras, counts)
            for cameras in counts
            for system in ORDER
            if (system, cameras) in self._samples
        ]

    def _row(self, system: str, cameras: int, counts: Sequence[int]) -> Measured:
        rounds = tuple(
            _cpu_s_per_camera_minute(sample.whole, cameras)
            for sample in self._samples[system, cameras]
        )
        cpu_s, pss_mib = median(rounds), self._pss_mib(system, cameras)
        fewer = [count for count in counts if count < cameras]
        added = (
            (pss_mib - self._pss_mib(system, fewer[-1])) / (cameras - fewer[-1]) if fewer else None
        )
        return Measured(
            system=system,
            cameras=cameras,
            cpu_s=cpu_s,
            cpu_s_of_rounds=rounds,
            times_copy=cpu_s / self._cpu_s(COPY, cameras),
            times_floor=cpu_s / self._cpu_s(FLOOR, cameras),
            of_it=self._cpu_s(BLIND, cameras) / cpu_s,
            pss_mib=pss_mib,
            pss_mib_per_added_camera=added,
        )

    def _cpu_s(self, system: str, cameras: int) -> float:
        samples = self._samples[system, cameras]
        return median(_cpu_s_per_camera_minute(sample.whole, cameras) for sample in samples)

    def _pss_mib(self, system: str, cameras: int) -> float:
        return median(sample.whole.pss_mib for sample in self._samples[system, cameras])

    def agent_processes(self) -> list[ProcessCost]:
        """Return what each of the agent's processes cost; camera workers as one row."""
        return [
            cost
            for (system, cameras), samples in sorted(self._samples.items())
            if system in {AGENT, BLIND, RECORD}
            for cost in _process_costs(system, cameras, samples)
        ]


def _process_costs(system: str, cameras: int, samples: Sequence[_Sample]) -> list[ProcessCost]:
    seen: dict[str, list[Cost]] = {}
    for sample in samples:
        for name, cost in sample.each.items():
            kind = "camera worker" if name.startswith("camera-") else name
            seen.setdefault(kind, []).append(cost)
    return [
        ProcessCost(
            system=system,
            cameras=cameras,
            process=kind,
            cpu_s_per_minute=median(cost.cpu_s / cost.seconds * 60 for cost in costs),
            pss_mib=median(cost.pss_mib for cost in costs),
            own_mib=median(cost.own_mib for cost in costs),
            wakeups_per_s=median(cost.wakeups / cost.seconds for cost in costs),
            written_bytes_per_s=median(cost.written_bytes / cost.seconds for cost in costs),
        )
        for kind, costs in seen.items()
    ]


def _cpu_s_per_camera_minute(cost: Cost, cameras: int) -> float:
    return cost.cpu_s / cost.seconds * 60 / cameras


def _sum(costs: Iterable[Cost]) -> Cost:
    several = list(costs)
    return Cost(
        seconds=several[0].seconds,
        cpu_s=sum(cost.cpu_s for cost in several),
        pss_mib=sum(cost.pss_mib for cost in several),
        own_mib=sum(cost.own_mib for cost in several),
        written_bytes=sum(cost.written_bytes for cost in several),
        wakeups=sum(cost.wakeups for cost in several),
    )
