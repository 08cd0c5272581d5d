"""Wall time is aware and may jump; durations come from the boot clock; trust is stated."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.contract.events import TimeQuality
from agent.core.clock import RELEASE_FLOOR, SystemClock, boot_id, utc_at, wait_s


class SteppedClock(SystemClock):
    """The real clock, with wall and boot time set by the test."""

    def __init__(self, at: datetime, mono_s: float = 100.0) -> None:
        self.at, self.mono_s = at, mono_s

    def utc_now(self) -> datetime:
        return self.at

    def monotonic_s(self) -> float:
        return self.mono_s


def test_stamps_are_aware_utc():
    assert SystemClock().utc_now().utcoffset() == timedelta(0)


def test_all_processes_of_a_box_share_one_time_line_since_boot():
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    assert SystemClock().monotonic_s() == pytest.approx(uptime_s, abs=5.0)


def test_a_clock_before_the_release_is_not_believed():
    clock = SteppedClock(RELEASE_FLOOR - timedelta(seconds=1))
    assert clock.quality() is TimeQuality.UNSYNCED


def test_a_believable_clock_says_whether_the_kernel_calls_it_synchronised():
    assert SteppedClock(RELEASE_FLOOR).quality() in {TimeQuality.NTP, TimeQuality.RTC}


def test_a_monotonic_time_maps_to_the_wall_time_as_it_is_now():
    clock = SteppedClock(datetime(2026, 11, 22, 12, tzinfo=UTC), mono_s=100.0)
    assert utc_at(clock, 90.0) == datetime(2026, 11, 22, 11, 59, 50, tzinfo=UTC)
    clock.at += timedelta(hours=1)  # the wall clock is stepped: the same moment moves with it
    assert utc_at(clock, 90.0) == datetime(2026, 11, 22, 12, 59, 50, tzinfo=UTC)


async def test_a_negative_sleep_returns():
    await SystemClock().sleep_s(-1.0)


def test_a_thread_waits_for_its_event_only():
    event = threading.Event()
    assert not wait_s(event, -1.0)
    event.set()
    assert wait_s(event, 60.0)


def test_the_boot_id_stays_the_same():
    assert boot_id() == boot_id()
    assert len(boot_id()) == 36
