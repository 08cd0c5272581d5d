"""Clock steps never cut or reorder a recording; a time once proven corrects what was before."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agent.buffer.index import Index, RunStart, from_micros
from agent.buffer.recording_clock import RecordingClock
from agent.buffer.timekeeper import BELIEVE_AFTER_S, RecordedTime, Timekeeper
from agent.contract.events import TimeQuality

TRUE_START = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)


class SteppingClock:
    """A wall clock that can be set while monotonic time goes on."""

    def __init__(self, wall: datetime, quality: TimeQuality) -> None:
        self.wall, self.mono_s, self.now_quality = wall, 1000.0, quality

    def utc_now(self) -> datetime:
        return self.wall

    def monotonic_s(self) -> float:
        return self.mono_s

    def quality(self) -> TimeQuality:
        return self.now_quality

    async def sleep_s(self, seconds: float) -> None:
        self.pass_s(seconds)

    def pass_s(self, seconds: float, *, wall_drift: float = 0.0) -> None:
        self.mono_s += seconds
        self.wall += timedelta(seconds=seconds * (1 + wall_drift))


def test_a_box_that_boots_in_the_past_is_corrected_when_ntp_comes():
    clock = SteppingClock(TRUE_START - timedelta(hours=3), TimeQuality.UNSYNCED)
    keeper = Timekeeper(clock)
    assert keeper.quality is RecordedTime.UNPROVEN
    recorded_at_s, believed = clock.mono_s, keeper.utc(clock.mono_s)
    clock.pass_s(60)
    assert keeper.look() is None

    clock.wall += timedelta(hours=3)
    clock.now_quality = TimeQuality.NTP
    correction = keeper.look()

    assert correction is not None
    assert correction.before_mono_s == clock.mono_s
    assert believed + timedelta(seconds=correction.shift_s) == TRUE_START
    assert keeper.utc(recorded_at_s) == TRUE_START
    assert keeper.quality is RecordedTime.SYNCED
    assert keeper.look() is None  # once


@pytest.mark.parametrize("step", [timedelta(hours=-5), timedelta(days=40), timedelta(seconds=3)])
def test_a_step_of_an_unsynced_clock_moves_no_recording(step):
    clock = SteppingClock(TRUE_START, TimeQuality.NTP)
    keeper = Timekeeper(clock)
    keeper.look()
    before = keeper.utc(clock.mono_s)
    clock.now_quality = TimeQuality.RTC
    clock.wall += step
    clock.pass_s(10)

    assert keeper.look() is None
    assert keeper.utc(clock.mono_s) - before == timedelta(seconds=10)
    assert keeper.quality is RecordedTime.HOLDOVER


def test_a_small_error_is_slewed_not_jumped():
    clock = SteppingClock(TRUE_START, TimeQuality.NTP)
    keeper = Timekeeper(clock)
    keeper.look()
    clock.wall += timedelta(seconds=0.4)
    last = keeper.utc(clock.mono_s)
    for _ in range(200):
        clock.pass_s(10)
        assert keeper.look() is None
        now = keeper.utc(clock.mono_s)
        assert timedelta(seconds=9.9) < now - last < timedelta(seconds=10.1)
        last = now
    assert abs(last - clock.wall) < timedelta(milliseconds=1)


def test_a_proven_clock_that_jumps_is_believed_only_when_it_stays_so():
    clock = SteppingClock(TRUE_START, TimeQuality.NTP)
    keeper = Timekeeper(clock)
    keeper.look()
    clock.wall += timedelta(hours=1)
    corrections = []
    for _ in range(int(BELIEVE_AFTER_S / 10) + 3):
        clock.pass_s(10)
        corrections.append(keeper.look())
    assert corrections[:80] == [None] * 80
    told = [one for one in corrections if one is not None]
    assert [one.shift_s for one in told] == [pytest.approx(3600.0)]


def test_a_new_worker_of_the_same_boot_goes_on_with_the_proven_time():
    clock = SteppingClock(TRUE_START, TimeQuality.NTP)
    first = Timekeeper(clock)
    first.look()
    clock.now_quality = TimeQuality.RTC
    clock.wall -= timedelta(days=300)
    second = Timekeeper(clock, first.proven_offset_s)
    assert second.quality is RecordedTime.HOLDOVER
    assert second.utc(clock.mono_s) == TRUE_START


def record(index, number, boot_id, start):
    """Note a segment as a recorder does; return its id."""
    run = RunStart("main", "h264", 16, 16, replace(start, boot_id=boot_id))
    return index.next_segment(index.begin_run(run), f"{number}.mp4", run.at, None)


def test_a_second_worker_of_a_boot_without_the_time_goes_on_as_the_first_recorded(tmp_path):
    """One correction is right for both, though the first began where the last boot's end was."""
    clock, index, ids = SteppingClock(TRUE_START, TimeQuality.NTP), Index(tmp_path), {}
    record(index, 0, "last boot", RecordingClock(index, clock, "last boot").moment(1000.0))
    clock.wall -= timedelta(hours=3)
    clock.now_quality = TimeQuality.UNSYNCED
    for number in (1, 2):
        clock.pass_s(40.0)
        worker = RecordingClock(index, clock, "boot")
        ids[clock.mono_s] = record(index, number, "boot", worker.moment(clock.mono_s))
    clock.pass_s(10.0)
    clock.wall += timedelta(hours=4)
    clock.now_quality = TimeQuality.NTP
    worker.look()
    with index.reading() as db:
        rows = dict(db.execute("SELECT segment_id, start_utc_us FROM segments").fetchall())
    for mono_s, segment_id in ids.items():
        true = TRUE_START + timedelta(hours=1, seconds=mono_s - 1000.0)
        assert abs(from_micros(rows[segment_id]) - true) < timedelta(seconds=0.001)
    index.close()


def test_a_jump_that_was_believed_is_known_to_a_worker_that_starts_just_then(tmp_path):
    """Else it would believe it, and correct what was corrected, once more."""
    clock, index = SteppingClock(TRUE_START, TimeQuality.NTP), Index(tmp_path)
    worker = RecordingClock(index, clock, "boot")
    worker.look()
    record(index, 1, "boot", worker.moment(clock.mono_s))
    clock.wall += timedelta(hours=1)
    for _ in range(2):
        clock.pass_s(BELIEVE_AFTER_S)
        worker.look()
    clock.pass_s(5.0)
    second = RecordingClock(index, clock, "boot")
    assert second.utc(clock.mono_s) == worker.utc(clock.mono_s) == clock.wall
    index.close()


def test_an_hour_of_a_drifting_wall_clock_is_followed():
    clock = SteppingClock(TRUE_START, TimeQuality.NTP)
    keeper = Timekeeper(clock)
    keeper.look()
    for _ in range(360):
        clock.pass_s(10, wall_drift=40e-6)
        keeper.look()
    assert abs(keeper.utc(clock.mono_s) - clock.wall) < timedelta(milliseconds=20)


def test_a_box_that_boots_before_its_last_recording_goes_on_where_that_ended():
    last = TRUE_START - timedelta(minutes=5)
    clock = SteppingClock(TRUE_START - timedelta(hours=3), TimeQuality.UNSYNCED)
    keeper = Timekeeper(clock, floor=last)
    assert keeper.utc(clock.mono_s) == last
    assert keeper.quality is RecordedTime.UNPROVEN
    clock.wall, clock.now_quality = TRUE_START, TimeQuality.NTP
    assert keeper.look().shift_s == timedelta(minutes=5).total_seconds()
    assert keeper.utc(clock.mono_s) == TRUE_START


def test_a_clock_that_is_later_than_the_last_recording_is_taken_as_it_is():
    clock = SteppingClock(TRUE_START, TimeQuality.RTC)
    keeper = Timekeeper(clock, floor=TRUE_START - timedelta(hours=1))
    assert keeper.utc(clock.mono_s) == TRUE_START
