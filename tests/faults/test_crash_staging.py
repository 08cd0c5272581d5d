"""The power goes in event-only mode: what an event covered is on the disk, the rest is told."""

from pathlib import Path

import pytest

from agent.buffer.stage import LOST
from tests.faults.crash_lab.box_workload import CAMERA
from tests.faults.crash_lab.disk import in_own_mounts, mounted, why_not
from tests.faults.crash_lab.replay import Recording, choose, image_at, record
from tests.faults.crash_lab.verdict import Promises
from tests.footage_maker import make_clip
from tests.recording import frames_in
from tests.staged_tape import StagedTape

pytestmark = pytest.mark.skipif(why_not(fuse=True) is not None, reason=str(why_not(fuse=True)))

WORKLOAD = "tests.faults.crash_lab.staged_workload"
RUNS, POINTS, LONG_POINTS, WEAK_POINTS = 5, 40, 400, 12


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, fps=10, seconds=8, size_px=(160, 120))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, clip):
    folder = tmp_path_factory.mktemp("crash")
    return in_own_mounts(record, folder, clip, "full", RUNS, WORKLOAD)


def after_the_cut(disk: Path, memory: Path, promised: Promises) -> list[str]:
    """Open the folder as the next worker does; return what is not as promised."""
    tape = StagedTape(disk / CAMERA, memory, limit_bytes=60_000)
    try:
        rows = {row["path"]: row["frames"] for row in tape.segments()}
        wrong = [
            f"{path}: {rows.get(path)} of {frames} frames"
            for path, frames in promised.closed.items()
            if rows.get(path) != frames or frames_in(tape.folder / path) != frames
        ]
        tape.check()
        wrong += [f"still {row['path']}" for row in tape.staged()]
        lost = {row["from_utc_us"] for row in tape.rows("deletions") if row["rule"] == LOST}
        told = {row["from_utc_us"] for row in tape.rows("gaps") if row["cause"] == LOST}
        return wrong + [f"not told: {at}" for at in lost - told]
    finally:
        tape.index.close()


def cut_at(recording: Recording, points: list, folder: Path) -> dict[str, list[str]]:
    notes, wrong = recording.read(), {}
    for number, point in enumerate(points):
        image = folder / "image"
        image_at(recording, point, image)
        with mounted(image, folder / "disk"):
            found = after_the_cut(
                folder / "disk", folder / f"memory-{number}", notes.at(point.flushes)
            )
        if found:
            wrong[str(point)] = found
    return wrong


def test_what_an_event_covered_is_there_whenever_the_power_goes(recorded, tmp_path):
    points = choose(recorded.read(), POINTS)
    assert len(points) == POINTS
    assert in_own_mounts(cut_at, recorded, points, tmp_path) == {}


def test_a_box_that_saves_flushes_is_seen_to_lose(tmp_path, clip):
    recording = in_own_mounts(record, tmp_path, clip, "no-sync", RUNS, WORKLOAD)
    points = choose(recording.read(), WEAK_POINTS)
    assert in_own_mounts(cut_at, recording, points, tmp_path) != {}


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_what_an_event_covered_is_there_at_many_more_points(recorded, tmp_path):
    points = choose(recorded.read(), LONG_POINTS)
    assert in_own_mounts(cut_at, recorded, points, tmp_path) == {}
