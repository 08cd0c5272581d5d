"""A stream that is only stored is read in handfuls, and the camera never has to wait for it."""

import threading
import time

import pytest

from agent.core.clock import SystemClock
from agent.ingest.handfuls import Handfuls
from agent.ingest.source import Pace


class _SteppedClock(SystemClock):
    """Stands still but for what the test lets pass."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s


class _Naps(threading.Event):
    """Notes the waits instead of waiting; time passes by them."""

    def __init__(self, clock: _SteppedClock) -> None:
        super().__init__()
        self._clock = clock
        self.taken_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.taken_s.append(timeout or 0.0)
        self._clock.now_s += timeout or 0.0
        return False


def _waits_s(bytes_per_s: int, *, longest_s: float, seconds: float = 5.0) -> list[float]:
    """Return the waits while a camera of 20 frames a second sends at this rate."""
    clock = _SteppedClock()
    naps = _Naps(clock)
    handfuls = Handfuls(clock, Pace(naps, lambda: longest_s))
    for number in range(int(seconds * 20)):
        clock.now_s = max(clock.now_s, number / 20)
        handfuls.took(bytes_per_s // 20, number / 20)
    return naps.taken_s


def test_a_usual_stream_waits_its_full_time_but_not_in_the_first_second():
    waits_s = _waits_s(200_000, longest_s=0.2)
    assert set(waits_s) == {0.2}
    assert not _waits_s(200_000, longest_s=0.2, seconds=0.95)


def test_a_fat_stream_never_gathers_more_than_a_socket_holds():
    bytes_per_s = 2_000_000
    waits_s = _waits_s(bytes_per_s, longest_s=0.2)
    assert waits_s
    assert max(waits_s) * bytes_per_s <= 64 * 1024 * 1.3  # the rate is that of the last handful


@pytest.mark.parametrize("pace", [0.5, 1.0, 2.0])
def test_what_has_gathered_is_read_to_the_last_packet_but_not_waited_for(pace):
    """`pace`: how fast the camera's own time runs; a wrong one must not let packets pile up."""
    clock = _SteppedClock()
    naps = _Naps(clock)
    handfuls = Handfuls(clock, Pace(naps, lambda: 0.2))
    lags_s, blocked = [], 0
    for number in range(600):  # a camera of 20 frames a second
        sent_s = number / 20
        blocked += clock.now_s < sent_s
        clock.now_s = max(clock.now_s, sent_s)
        lags_s.append(clock.now_s - sent_s)
        handfuls.took(10_000, sent_s * pace)
    assert max(lags_s) < 1.2
    if pace == 1.0:
        assert max(lags_s) < 0.3
        assert blocked < 100  # in its first second, and at each fifth handful


def test_a_stream_that_somebody_waits_for_never_waits():
    assert _waits_s(200_000, longest_s=0.0) == []


@pytest.mark.parametrize(("longest_s", "at_s"), [(0.2, 0.0), (0.0, 5.0)])
def test_what_does_not_gather_is_handed_on_packet_by_packet(longest_s, at_s):
    """A camera of one frame a second: what a kill costs must not be a second."""
    clock, handed_on = _SteppedClock(), []
    naps = _Naps(clock)
    pace = Pace(naps, lambda: longest_s, lambda: handed_on.append(clock.now_s))
    handfuls = Handfuls(clock, pace)
    clock.now_s = at_s
    handfuls.took(10_000, at_s)
    assert handed_on == [at_s]
    pace.gather(0.0)
    assert (len(handed_on), naps.taken_s) == (2, [])


def test_a_worker_that_stops_does_not_wait():
    stop = threading.Event()
    clock = _SteppedClock()
    handfuls = Handfuls(clock, Pace(stop, lambda: 60.0))
    clock.now_s = 10.0
    stop.set()
    began_s = time.monotonic()
    handfuls.took(1, None)
    assert time.monotonic() - began_s < 30.0
