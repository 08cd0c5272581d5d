"""A clock chip that is years off at boot costs no video and misdates none for ever.

It is believed for what is recorded until the time is proven; then that is where it belongs.
"""

from datetime import timedelta

import pytest

from agent.buffer import ledger, named_times, reading
from agent.buffer.check import Check
from agent.buffer.index import INDEX_FILE
from agent.buffer.rebuild import open_index
from agent.buffer.retention import Retention
from agent.core.clock import boot_id
from tests.fake_clock import ChipClock, FakeClock
from tests.footage_maker import make_clip
from tests.recording import Tape

OFF = timedelta(days=730, hours=3, seconds=17)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", fps=5, seconds=60)


def tape_of(folder, clock, boot):
    parts, count = [ledger.PART], ledger.Ledger()
    return Tape(folder, clock, boot=boot, parts=parts, observers=[count], retention_days=30.0)


def recorded_before(folder, clip):
    """Return when a boot with a proven time ended; it has recorded for a minute."""
    clock = FakeClock()
    tape = tape_of(folder, clock, "the last")
    tape.record(clip)
    tape.index.close()
    return clock.utc_now()


def has_frames(folder, since, until):
    stored = [one.stored for one in ledger.account(folder, since, until)]
    return sum(stored) if stored else 0


@pytest.mark.parametrize("off", [OFF, -OFF], ids=["ahead", "behind"])
@pytest.mark.parametrize("with_past", [True, False], ids=["", "on a new disk"])
def test_what_it_misdated_is_found_by_its_true_time_once_that_is_known(
    tmp_path, clip, off, with_past
):
    folder = tmp_path / "cameras" / "gate"
    booted = recorded_before(folder, clip) if with_past else FakeClock().utc_now()
    clock = ChipClock(booted + timedelta(seconds=600), off)
    tape, begun = tape_of(folder, clock, boot_id()), clock._at
    for _ in range(3):
        tape.record(clip)
    assert tape.segments()[-1]["time_quality"] == "unproven"

    clock.off = timedelta(0)
    clock.pass_s(10.0)
    tape.record(clip)  # the correction comes while a segment is open
    ended = clock.utc_now()
    since, until = begun - timedelta(seconds=61), ended + timedelta(seconds=61)
    found = reading.segments(folder, since, until)
    assert sum(one.frames for one in found) == 1200
    assert abs(found[0].start_at - begun) < timedelta(seconds=1)
    assert has_frames(folder, since, until) == 1200
    assert all(one.causes != ("unexplained",) for one in ledger.account(folder, begun, ended))
    wrong = begun + off - DAY
    assert reading.segments(folder, wrong, wrong + 2 * DAY) == []
    assert has_frames(folder, wrong, wrong + 2 * DAY) == 0
    tape.index.close()


@pytest.mark.parametrize("off", [OFF, -OFF], ids=["ahead", "behind"])
def test_it_deletes_no_good_video_and_keeps_none_for_ever(tmp_path, clip, off):
    folder = tmp_path / "cameras" / "gate"
    clock = ChipClock(recorded_before(folder, clip) + DAY, off)
    tape = tape_of(folder, clock, boot_id())
    before = len(tape.segments())
    assert tape.retention.prune() == 0  # nothing recorded in this boot yet
    tape.record(clip)
    retention = Retention(folder, tape.index, tape.settings, clock)
    for _ in range(3):
        clock.pass_s(3600.0)
        assert tape.retention.prune() == retention.prune() == 0
    count = len(tape.segments())

    clock.pass_s(10 * DAY.total_seconds())
    assert tape.retention.prune() == 0
    clock.off = timedelta(0)
    tape.record(clip)
    assert tape.retention.prune() == 0
    clock.pass_s(19.5 * DAY.total_seconds())  # the last boot's are thirty days old, no others
    assert tape.retention.prune() == before
    clock.pass_s(1.0 * DAY.total_seconds())
    assert tape.retention.prune() == count - before
    tape.index.close()


def test_a_box_that_never_learns_the_time_deletes_by_the_days_it_has_run(tmp_path, clip):
    folder = tmp_path / "cameras" / "gate"
    clock = ChipClock(recorded_before(folder, clip), OFF)
    tape = tape_of(folder, clock, boot_id())
    before = len(tape.segments())
    clock.pass_s(29.9 * DAY.total_seconds())
    assert tape.retention.prune() == 0
    clock.pass_s(0.2 * DAY.total_seconds())
    assert tape.retention.prune() == before
    tape.index.close()


class LaterProven(ChipClock):
    """Its time is proven in the middle of something."""

    proven_s = float("inf")

    def pass_s(self, seconds):
        super().pass_s(seconds)
        if self.mono_s >= self.proven_s:
            self.off = timedelta(0)


def starts(tape):
    return {row["path"]: (row["run_id"], row["start_utc_us"]) for row in tape.segments()}


@pytest.mark.parametrize(
    "off",
    [OFF, timedelta(seconds=41.2345), timedelta(seconds=-0.5)],
    ids=["ahead", "ahead by less than it recorded", "behind by a little"],
)
def test_a_lost_index_is_made_anew_with_the_times_that_were_found_out(tmp_path, clip, off):
    folder = tmp_path / "cameras" / "gate"
    clock = LaterProven(recorded_before(folder, clip) + DAY, off)
    tape = tape_of(folder, clock, boot_id())
    tape.record(clip)
    clock.proven_s = clock.mono_s + 30.0
    tape.record(clip)  # this run has names of both times
    assert {row["time_quality"] for row in tape.segments()} >= {"corrected", "synced"}
    clock._at -= timedelta(seconds=7.0)  # what it took for proven was wrong itself
    for _ in range(2):
        clock.pass_s(1000.0)
        tape.recorder.time.look()
    tape.record(clip)
    assert len(tape.rows("corrections")) == 2
    before = starts(tape)
    tape.index.close()
    for _ in range(2):  # what is said of the files outlives it, too
        (folder / INDEX_FILE).unlink()
        tape.index = open_index(folder, [ledger.PART], clock)
        Check(folder, tape.index, clock).run()
        after = starts(tape)
        assert after.keys() == before.keys()
        for path, (run_id, start_us) in after.items():
            assert run_id == before[path][0]
            assert abs(start_us - before[path][1]) < 2000, path
        tape.index.close()


def test_what_was_dated_years_ahead_goes_in_time_though_the_index_was_lost(tmp_path, clip):
    folder = tmp_path / "cameras" / "gate"
    clock = ChipClock(recorded_before(folder, clip) + DAY, OFF)
    tape = tape_of(folder, clock, "one whose time was never proven")
    tape.record(clip)
    tape.index.close()
    (folder / INDEX_FILE).unlink()
    index = open_index(folder, [ledger.PART], clock)
    Check(folder, index, clock).run()
    index.close()
    clock.off = timedelta(0)
    tape = tape_of(folder, clock, boot_id())
    tape.record(clip)
    assert tape.retention.prune() == 0
    clock.pass_s(30.5 * DAY.total_seconds())
    tape.record(clip)
    tape.retention.prune()
    assert {row["time_quality"] for row in tape.segments()} == {"synced"}
    tape.index.close()


def test_a_correction_that_the_disk_refused_is_made_once_it_takes_it(tmp_path, clip):
    folder = tmp_path / "cameras" / "gate"
    clock = ChipClock(recorded_before(folder, clip) + DAY, -OFF)
    tape, begun = tape_of(folder, clock, boot_id()), clock._at
    tape.record(clip)
    clock.off = timedelta(0)
    scratch = folder / named_times.REDATED_FILE
    scratch.mkdir()  # nothing can take its place
    clock.pass_s(10.0)
    with pytest.raises(OSError, match="redated"):
        tape.recorder.time.look()
    assert tape.segments()[-1]["time_quality"] == "unproven"
    assert tape.recorder.moment(clock.mono_s).quality == "unproven"

    scratch.rmdir()
    clock.pass_s(10.0)
    tape.recorder.time.look()
    found = reading.segments(folder, begun - timedelta(seconds=1), clock.utc_now())
    assert sum(one.frames for one in found) == 300
    tape.index.close()
