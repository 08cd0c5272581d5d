"""Record on a logged disk once, then cut its power at every flush.

`record` makes the log; `judge_points` mounts one image per crash point and returns the verdicts.
"""

import multiprocessing
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.crash_lab.block_log import CrashPoint
from tests.faults.crash_lab.disk import make_ext4, mounted, own_mounts, run, scratch_folder, unmount
from tests.faults.crash_lab.verdict import Notes, Verdict, judge

DISK_MB = 40
WORKERS = 2
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Recording:
    """A finished workload: the disk before it, the log of its writes, and its notes."""

    fresh: Path
    log_folder: Path
    notes: Path
    clip: Path

    def read(self) -> Notes:
        return Notes(self.notes, self.log_folder)


@dataclass(slots=True)
class Outcome:
    """All verdicts of one series."""

    points: int = 0
    bad_points: int = 0
    losses: Counter[str] = field(default_factory=Counter)
    worst_lost_frames: int = 0
    details: list[str] = field(default_factory=list)

    def add(self, point: CrashPoint, verdict: Verdict) -> None:
        self.points += 1
        self.bad_points += bool(verdict.losses)
        self.losses += verdict.losses
        self.worst_lost_frames = max(self.worst_lost_frames, verdict.lost_frames)
        self.details += [f"{point}: {detail}" for detail in verdict.details]


def record(
    folder: Path,
    clip: Path,
    variant: str = "full",
    runs: int = 2,
    workload: str = "tests.faults.crash_lab.box_workload",
) -> Recording:
    """Run the box's storage work on a logged disk. Call in a process with mounts of its own."""
    fresh, image, notes = folder / "fresh.img", folder / "image", folder / "notes.jsonl"
    make_ext4(fresh, DISK_MB)
    shutil.copyfile(fresh, image)
    mountpoint, disk = folder / "logged", folder / "disk"
    mountpoint.touch()
    with _logged(mountpoint, image, folder), mounted(mountpoint, disk):
        command = [sys.executable, "-m", workload, disk, clip, notes, folder, variant, str(runs)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
    return Recording(fresh, folder, notes, clip)


@contextmanager
def _logged(mountpoint: Path, image: Path, log_folder: Path) -> Iterator[None]:
    module = "tests.faults.crash_lab.fuse_file"
    command = [sys.executable, "-m", module, mountpoint, image, log_folder]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        if server.stdout.readline() != "mounted\n":
            raise RuntimeError("the logged file could not be mounted")
        try:
            yield
        finally:
            unmount(mountpoint)
            server.wait(timeout=10)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def choose(notes: Notes, count: int) -> list[CrashPoint]:
    """Return about `count` points, spread evenly: every flush bare, and torn tails behind it."""
    flushes = range(notes.first_flush, notes.log.flushes_total + 1)
    points = [CrashPoint(number) for number in flushes]
    torn = [number for number in flushes if notes.log.tail_length(number)]
    seed = 0
    while len(points) < count and torn:
        points += [CrashPoint(number, seed) for number in torn]
        seed += 1
    return sorted(
        random.Random(count).sample(points, min(count, len(points))),
        key=lambda point: (point.flushes, point.tail_seed is not None, point.tail_seed or 0),
    )


def image_at(recording: Recording, point: CrashPoint, image: Path) -> None:
    """Make the image that a power cut at `point` left."""
    log = recording.read().log
    shutil.copyfile(recording.fresh, image)
    log.replay(image, 0, point.flushes)
    log.tear(image, point)


def judge_points(recording: Recording, points: Sequence[CrashPoint]) -> Outcome:
    """Judge every point, two at a time."""
    outcome = Outcome()
    context = multiprocessing.get_context("spawn")
    share = -(-len(points) // WORKERS)
    parts = [points[start : start + share] for start in range(0, len(points), share)]
    with ProcessPoolExecutor(WORKERS, mp_context=context, initializer=own_mounts) as pool:
        for verdicts in pool.map(_judge_part, [recording] * len(parts), parts):
            for point, verdict in verdicts:
                outcome.add(point, verdict)
    return outcome


def _judge_part(
    recording: Recording, points: Sequence[CrashPoint]
) -> list[tuple[CrashPoint, Verdict]]:
    notes, verdicts = recording.read(), []
    with scratch_folder() as folder:
        medium, copy = folder / "medium", folder / "copy"
        shutil.copyfile(recording.fresh, medium)
        flushes = 0
        for point in points:
            notes.log.replay(medium, flushes, point.flushes)
            flushes = point.flushes
            shutil.copyfile(medium, copy)
            notes.log.tear(copy, point)
            verdicts.append((point, _judge(copy, folder / "disk", point, notes, recording.clip)))
    return verdicts


def _judge(image: Path, disk: Path, point: CrashPoint, notes: Notes, clip: Path) -> Verdict:
    try:
        with mounted(image, disk):
            verdict = judge(disk, notes.at(point.flushes), clip)
        run("e2fsck", "-f", "-n", image)
    except RuntimeError as error:  # does not mount, or is damaged
        verdict = Verdict()
        verdict.lost("file system", str(error))
    return verdict
