"""Kill -9 at any moment: half a second of video at most, every file opens, no record is lost."""

import random
import sqlite3
from contextlib import closing

import pytest

from agent.buffer.recovery import KILLED, recover
from tests.faults.crash_lab.box_workload import CAMERA, DATABASE, OutboxUser
from tests.faults.crash_lab.killed_writers import killed, queue_forever, record_forever
from tests.faults.crash_lab.verdict import Verdict, agree
from tests.footage_maker import make_clip
from tests.recording import BOOT, Tape

FPS, CLIP_S, SEGMENT_FRAMES = 10, 9, 20
LOST_AT_MOST_S = 0.5
KILLS, LONG_KILLS, LONG_SLICES = 30, 400, 4


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, fps=FPS, seconds=CLIP_S, size_px=(160, 120))


def moments(count, seed):
    """Return at how many frames (or records) to kill: half of them where a segment changes."""
    chance = random.Random(seed)
    return [
        chance.randint(1, 300)
        if number % 2
        else SEGMENT_FRAMES * chance.randint(1, 12) + chance.randint(-1, 1)
        for number in range(count)
    ]


def kill_recorders(tmp_path, clip, counts):
    wrong = {}
    for number, frames in enumerate(counts):
        folder = tmp_path / str(number)
        folder.mkdir()
        told = killed(record_forever, folder, clip, lambda t, n=frames: t.frames >= n)
        verdict = Verdict()
        tape = Tape(folder / CAMERA)
        recover(tape.folder, tape.index, BOOT)
        agree(tape, verdict)
        kept = sum(row["frames"] for row in tape.segments())
        if not told.frames - LOST_AT_MOST_S * FPS <= kept <= told.frames + 1:
            verdict.lost("video", f"{kept} of {told.frames} frames")
        if len(tape.rows("hits")) < told.hits:
            verdict.lost("hit", f"{len(tape.rows('hits'))} of {told.hits}")
        if tape.rows("runs")[-1]["ended_cause"] not in (KILLED, "lost"):
            verdict.lost("cause", tape.rows("runs")[-1]["ended_cause"])
        tape.index.close()
        if verdict.details:
            wrong[number, told] = verdict.details
    return wrong


def kill_outboxes(tmp_path, clip, counts):
    wrong = {}
    for number, rows in enumerate(counts):
        folder = tmp_path / str(number)
        folder.mkdir()
        told = killed(queue_forever, folder, clip, lambda t, n=rows: t.rows >= n)
        with closing(sqlite3.connect(folder / DATABASE)) as db:
            said = db.execute("PRAGMA integrity_check").fetchone()[0]
        names = OutboxUser(folder / DATABASE).names()
        expected = {n: f"row-{n}" for n in range(1, max(len(names), told.rows) + 1)}
        if said != "ok" or names != expected:
            wrong[number, told] = (said, len(names))
    return wrong


def test_a_killed_recorder_loses_half_a_second_at_most(tmp_path, clip):
    assert kill_recorders(tmp_path, clip, moments(KILLS, 1)) == {}


def test_a_killed_outbox_loses_no_acknowledged_record(tmp_path, clip):
    assert kill_outboxes(tmp_path, clip, moments(KILLS, 2)) == {}


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(LONG_SLICES))
def test_recorders_killed_at_many_moments_lose_half_a_second_at_most(tmp_path, clip, part):
    assert kill_recorders(tmp_path, clip, moments(LONG_KILLS, 3)[part::LONG_SLICES]) == {}


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(LONG_SLICES))
def test_outboxes_killed_at_many_moments_lose_no_acknowledged_record(tmp_path, clip, part):
    assert kill_outboxes(tmp_path, clip, moments(LONG_KILLS, 4)[part::LONG_SLICES]) == {}
