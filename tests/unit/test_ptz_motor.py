"""The simulated motor moves as long as told, within its range, and not longer."""

import pytest

from agent.simulators.camera.ptz_motor import PAN_TILT_PER_S, PtzMotor


class StillClock:
    now_s = 100.0

    def monotonic_s(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    return StillClock()


def test_position_is_velocity_over_time(clock):
    motor = PtzMotor(clock)
    motor.move(0.5, -1.0, 0.0, 10.0)
    clock.now_s += 2.0
    assert motor.position().pan == pytest.approx(0.5 * PAN_TILT_PER_S * 2)
    assert motor.position().tilt == pytest.approx(-PAN_TILT_PER_S * 2)


def test_the_timeout_stops_it(clock):
    motor = PtzMotor(clock)
    motor.move(1.0, 0.0, 0.0, 1.0)
    clock.now_s += 5.0
    assert not motor.is_moving
    assert motor.position().pan == pytest.approx(PAN_TILT_PER_S)


def test_it_stops_at_the_end_of_its_range(clock):
    motor = PtzMotor(clock)
    motor.move(1.0, 0.0, -1.0)
    clock.now_s += 1000.0
    assert (motor.position().pan, motor.position().zoom) == (1.0, 0.0)


def test_an_axis_left_out_goes_on(clock):
    motor = PtzMotor(clock)
    motor.move(1.0, 0.0, 0.0, 10.0)
    motor.move(zoom=1.0, timeout_s=10.0)
    clock.now_s += 1.0
    assert motor.position().pan > 0
    assert motor.position().zoom > 0


def test_stop_stops_all(clock):
    motor = PtzMotor(clock)
    motor.move(1.0, 1.0, 1.0)
    motor.stop()
    before = motor.position()
    clock.now_s += 1.0
    assert motor.position() == before
