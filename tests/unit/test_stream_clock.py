"""Recorded times follow the true clock, whatever the camera's crystal and the network do."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.buffer.stream_clock import StreamClock

FPS = 2.0


def taken_errors_s(drift_ppm: float, hours: float, jitter_s: float) -> list[float]:
    """Play a stream of a drifting camera; return recorded minus true time, frame by frame."""
    rng, clock, errors = random.Random(7), StreamClock(), []
    for number in range(int(hours * 3600 * FPS)):
        true_s = number / FPS
        media_s = true_s * (1 + drift_ppm * 1e-6)
        arrived_s = true_s + 0.004 + rng.expovariate(1 / jitter_s)
        errors.append(clock.place(media_s, arrived_s) - true_s)
    return errors


@pytest.mark.parametrize("drift_ppm", [-80.0, 0.0, 80.0])
def test_a_day_of_recording_drifts_less_than_a_fifth_of_a_second(drift_ppm):
    errors = taken_errors_s(drift_ppm, hours=24, jitter_s=0.03)
    settled = errors[int(600 * FPS) :]
    assert max(abs(error) for error in settled) < 0.2


def test_a_late_first_frame_is_caught_up_with():
    clock = StreamClock()
    clock.place(0.0, 100.8)  # 0.8 s late: the network was busy
    last = [clock.place(n / FPS, 100.0 + n / FPS) for n in range(1, int(3600 * FPS))][-1]
    assert last == pytest.approx(100.0 + (3600 * FPS - 1) / FPS, abs=0.01)


@given(
    st.lists(
        st.tuples(st.floats(0.001, 5.0, allow_nan=False), st.floats(0.0, 30.0, allow_nan=False)),
        min_size=2,
        max_size=200,
    )
)
def test_times_never_run_backwards(steps):
    clock, media_s, before_s = StreamClock(), 0.0, float("-inf")
    for step_s, late_s in steps:
        media_s += step_s
        taken_s = clock.place(media_s, media_s + late_s)
        assert taken_s > before_s
        before_s = taken_s


def test_a_camera_whose_time_runs_wrong_is_told():
    clock = StreamClock()
    for number in range(2000):
        clock.place(number * 0.5, number * 0.55)  # media time a tenth too slow
    assert clock.is_lost


def test_a_steady_camera_is_not_called_lost():
    clock = StreamClock()
    for number in range(2000):
        clock.place(number * 0.5, number * 0.5 + (number % 7) * 0.1)
    assert not clock.is_lost
