"""The power goes at any moment: what was acknowledged is there, and at most two seconds are lost.

Every flush of a logged disk is a crash point, bare and with torn writes behind it; see `crash_lab`.
"""

import pytest

from agent.simulators.broker import free_port
from tests.box_process import BoxProcess, camera_in
from tests.faults.crash_lab.block_log import CrashPoint
from tests.faults.crash_lab.box_workload import CAMERA
from tests.faults.crash_lab.disk import in_own_mounts, mounted, why_not
from tests.faults.crash_lab.replay import choose, image_at, judge_points, record
from tests.faults.crash_lab.verdict import Verdict, agree
from tests.footage_maker import make_clip
from tests.recording import Tape

pytestmark = pytest.mark.skipif(why_not(fuse=True) is not None, reason=str(why_not(fuse=True)))

FPS = 10
LOST_AT_MOST_S = 2.0
POINTS, SLICES = 320, 4
LONG_POINTS, LONG_SLICES = 1600, 16
WEAK_POINTS = 40


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Return a maker of recordings on a logged disk, each made once."""
    folder = tmp_path_factory.mktemp("crash")
    clip = make_clip(folder / "clip.mp4", fps=FPS, seconds=10, size_px=(160, 120))
    made = {}

    def of(variant):
        if variant not in made:
            (folder / variant).mkdir()
            made[variant] = in_own_mounts(record, folder / variant, clip, variant)
        return made[variant]

    return of


def loses_nothing(recording, points):
    outcome = judge_points(recording, points)
    assert outcome.points == len(points)
    assert outcome.details == []
    assert outcome.worst_lost_frames <= LOST_AT_MOST_S * FPS


@pytest.mark.parametrize("part", range(SLICES))
def test_a_power_cut_at_any_flush_loses_nothing_that_was_acknowledged(recorded, part):
    recording = recorded("full")
    points = choose(recording.read(), POINTS)
    assert len(points) >= 200
    loses_nothing(recording, points[part::SLICES])


@pytest.mark.long
@pytest.mark.parametrize("part", range(LONG_SLICES))
def test_a_power_cut_at_any_flush_with_many_torn_tails_loses_nothing(recorded, part):
    recording = recorded("full")
    points = choose(recording.read(), LONG_POINTS)
    assert len(points) >= 1000
    loses_nothing(recording, points[part::LONG_SLICES])


def test_the_agent_itself_starts_on_what_a_power_cut_left(recorded, tmp_path):
    recording = recorded("full")
    notes = recording.read()
    last = notes.log.flushes_total
    for number, flushes in enumerate((last // 3, last - 1)):
        image, promised = tmp_path / f"{number}.img", notes.at(flushes)
        image_at(recording, CrashPoint(flushes, tail_seed=1), image)
        with mounted(image, tmp_path / f"box-{number}"):
            camera = {"camera_id": "cam-1", "main_url": f"rtsp://127.0.0.1:{free_port()}/"}
            settings = {"buffer": {"min_free_bytes": 0}, "cameras": [camera | {"detect": False}]}
            with BoxProcess(tmp_path, settings, name=f"box-{number}") as box:
                waiting = len(promised.rows) - promised.watermark
                box.until(lambda state, n=waiting: state["outbox"]["queued"]["a"] >= n)
                box.until(lambda state: camera_in(state, "cam-1")["recorded_s"])
                assert box.stop() == 0
            verdict = Verdict()
            tape = Tape(tmp_path / f"box-{number}" / CAMERA)
            agree(tape, verdict)
            assert verdict.details == []
            assert set(promised.closed) <= {row["path"] for row in tape.segments()}
            tape.index.close()


def test_without_full_synchronous_databases_the_laboratory_sees_losses(recorded):
    recording = recorded("normal")
    notes = recording.read()
    flushes = range(notes.first_flush, notes.log.flushes_total + 1)
    step = -(-len(flushes) // WEAK_POINTS)
    points = [CrashPoint(number) for number in flushes[::step] if notes.at(number).rows]

    outcome = judge_points(recording, points)

    assert outcome.bad_points > 0.9 * outcome.points
    assert {"outbox row", "hit"} <= set(outcome.losses)


def test_without_fsync_the_laboratory_sees_everything_lost(recorded):
    recording = recorded("no-sync")
    notes = recording.read()
    last = notes.log.flushes_total
    promised = notes.at(last)
    assert promised.rows
    assert promised.closed

    outcome = judge_points(recording, [CrashPoint(last)])

    assert outcome.bad_points == 1
    assert outcome.losses["outbox row"] or outcome.losses["database"]
    assert outcome.losses["segment row"] or outcome.losses["database"]
