"""Every camera-minute is accounted for: stored, or missing with its cause, never invented."""

from datetime import timedelta

import pytest

from agent.buffer.ledger import EVENTS, PART, UNEXPLAINED, Ledger, account, sum_up
from tests.footage_maker import make_clip
from tests.recording import Tape

FPS, CLIP_S = 10, 60


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, fps=FPS, seconds=CLIP_S, size_px=(64, 48))


@pytest.fixture
def tape(tmp_path):
    made = Tape(tmp_path / "camera", parts=[PART], observers=[Ledger()])
    yield made
    made.index.close()


def test_full_minutes_are_covered(tape, clip):
    began = tape.clock.utc_now()
    for _ in range(3):
        tape.record(clip)
    rows = list(account(tape.folder, began, began + timedelta(minutes=3)))
    assert [row.stored for row in rows] == [600, 600, 600]
    assert all(row.is_covered and row.expected == 600 for row in rows)


def test_a_minute_without_video_says_why(tape, clip):
    began = tape.clock.utc_now()
    tape.record(clip, cause="camera-closed")
    tape.clock.pass_s(120)
    tape.record(clip, cause="stopped")
    rows = list(account(tape.folder, began, began + timedelta(minutes=4)))
    assert [row.stored for row in rows] == [600, 0, 0, 600]
    assert [row.causes for row in rows[1:3]] == [("camera-closed",)] * 2
    total = sum_up(tape.folder, began, began + timedelta(minutes=4))
    assert (total.minutes, total.covered) == (4, 2)
    assert total.frames_expected == 2400
    assert total.missing_s == {"camera-closed": pytest.approx(120.0, abs=0.2)}


def test_an_event_only_minute_says_so_and_is_no_gap_when_its_frames_go(tmp_path, clip):
    tape = Tape(
        tmp_path / "camera", parts=[PART], observers=[Ledger(lambda: EVENTS)], mode="events"
    )
    began = tape.clock.utc_now()
    tape.record(clip)
    tape.clock.pass_s(600)
    assert tape.retention.prune() == len(tape.rows("deletions")) > 0
    (row,) = account(tape.folder, began, began + timedelta(minutes=1))
    assert (row.mode, row.tier, row.causes) == (EVENTS, "none", ())
    assert row.is_covered
    assert sum_up(tape.folder, began, began + timedelta(minutes=1)).event_only == 1
    tape.index.close()


def test_missing_frames_without_a_gap_are_unexplained(tape, clip):
    began = tape.clock.utc_now()
    tape.record(clip)
    with tape.index.transaction() as connection:
        connection.execute("UPDATE minutes SET stored = 300")
        connection.execute("DELETE FROM gaps")
    (row,) = account(tape.folder, began, began + timedelta(minutes=1))
    assert not row.is_covered
    assert row.causes == (UNEXPLAINED,)


def test_the_ledger_agrees_with_the_files(tape, clip):
    began = tape.clock.utc_now()
    for seconds in (0, 7, 31):
        tape.clock.pass_s(seconds)
        tape.record(clip)
    span = timedelta(minutes=10)
    in_ledger = sum(row.stored for row in account(tape.folder, began - span, began + span))
    assert in_ledger == sum(segment["frames"] for segment in tape.segments()) == 3 * FPS * CLIP_S
