"""What goes is the oldest, by age, share or a low disk; the file before its row, and journalled."""

import os
import threading

import pytest

from agent.buffer.recovery import recover
from tests.footage_maker import make_clip
from tests.recording import BOOT, Tape, frames_in

DAY_S = 86_400.0


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, seconds=10, size_px=(160, 120))


def taped(tmp_path, clip, **settings):
    tape = Tape(tmp_path / "camera", **settings)
    tape.record(clip)
    return tape


def is_consistent(tape):
    return tape.video_files() == [tape.folder / segment["path"] for segment in tape.segments()]


def journal(tape):
    return [(row["path"], row["bytes"], row["rule"]) for row in tape.rows("deletions")]


def test_what_is_older_than_the_retention_goes_and_nothing_else(tmp_path, clip):
    tape = taped(tmp_path, clip, retention_days=2.0)
    old = tape.segments()
    tape.clock.pass_s(DAY_S)
    tape.record(clip)
    assert tape.retention.prune() == 0

    tape.clock.pass_s(DAY_S)
    assert tape.retention.prune() == len(old) == 5

    assert [s["segment_id"] for s in tape.segments()] == [6, 7, 8, 9, 10]
    assert journal(tape) == [(s["path"], s["bytes"], "age") for s in old]
    assert is_consistent(tape)
    tape.index.close()


def test_over_its_share_a_camera_loses_its_oldest_until_it_fits(tmp_path, clip):
    tape = taped(tmp_path, clip, max_bytes=100_000)
    before = tape.segments()
    gone = tape.retention.prune()

    left = tape.segments()
    assert 0 < gone < len(before)
    assert left == before[gone:]
    assert sum(s["bytes"] for s in left) <= 100_000 < sum(s["bytes"] for s in before[gone - 1 :])
    assert {rule for _, _, rule in journal(tape)} == {"share"}
    assert is_consistent(tape)
    tape.index.close()


def test_on_a_low_disk_the_oldest_go_but_never_the_one_being_written(tmp_path, clip):
    free = os.statvfs(tmp_path)
    tape = taped(tmp_path, clip, min_free_bytes=free.f_blocks * free.f_frsize)
    tape.record(clip, cause=None, frames=5)

    assert tape.retention.prune() == 5

    (left,) = tape.segments()
    assert left["state"] == "open"
    assert [rule for _, _, rule in journal(tape)] == ["disk-low"] * 5
    tape.recorder.run_ended("lost")
    assert is_consistent(tape)
    tape.index.close()


def test_a_file_is_gone_before_its_row_and_a_row_left_over_goes_next_time(tmp_path, clip):
    tape = taped(tmp_path, clip, max_bytes=1)
    tape.index._db.execute(
        "CREATE TEMP TRIGGER crash BEFORE DELETE ON segments BEGIN SELECT raise(ABORT, 'crash');"
        " END"
    )
    with pytest.raises(Exception, match="crash"):
        tape.retention.prune()
    assert len(tape.video_files()) < len(tape.segments()) == 5

    tape.index._db.execute("DROP TRIGGER crash")
    tape.retention.prune()
    assert tape.segments() == []
    assert len(journal(tape)) == 5
    assert is_consistent(tape)
    tape.index.close()


def test_folders_of_hours_that_are_over_go_with_their_last_segment(tmp_path, clip):
    tape = taped(tmp_path, clip, retention_days=2.0)
    tape.clock.pass_s(3600.0)
    tape.record(clip)
    tape.clock.pass_s(2 * DAY_S)
    tape.record(clip, cause=None, frames=25)
    tape.retention.prune()
    folders = sorted((tape.folder / "video").rglob("*/*/"))
    assert [folder for folder in folders if folder.is_dir()] == [tape.video_files()[0].parent]
    tape.recorder.run_ended("lost")
    assert is_consistent(tape)
    tape.index.close()


def test_the_index_forgets_what_it_noted_of_a_time_without_video(tmp_path, clip):
    tape = taped(tmp_path, clip, retention_days=2.0)
    now = tape.clock.utc_now()
    for name in ("told", "waiting"):
        tape.index.keep_hit(name, now, 1.0, "began", b"body")
    tape.index.ack_hit("told")
    tape.clock.pass_s(60.0)
    tape.record(clip)
    tape.clock.pass_s(2 * DAY_S + 60.0)
    tape.record(clip, frames=30)
    tape.retention.prune()
    assert [run["run_id"] for run in tape.rows("runs")] == [3]
    assert [gap["to_utc_us"] for gap in tape.rows("gaps")][-1] is None
    assert len(tape.rows("gaps")) == 2
    assert tape.index.waiting_hits() == [b"body"]
    assert [row["hit_id"] for row in tape.rows("hits")] == ["waiting"]
    tape.index.close()


def test_two_threads_that_delete_at_once_journal_each_segment_once(tmp_path, clip):
    tape = taped(tmp_path, clip)
    both = threading.Barrier(2)

    def free():
        both.wait(10)
        tape.retention.free_some()

    threads = [threading.Thread(target=free) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deleted = [path for path, _, _ in journal(tape)]
    assert len(deleted) == len(set(deleted)) == 5
    assert tape.video_files() == tape.segments() == []
    tape.index.close()


def test_deleting_leaves_the_rest_playable_and_recovery_content(tmp_path, clip):
    tape = taped(tmp_path, clip, max_bytes=80_000)
    tape.retention.prune()
    assert recover(tape.folder, tape.index, BOOT) is None
    assert is_consistent(tape)
    assert all(frames_in(path) == 20 for path in tape.video_files())
    tape.index.close()
