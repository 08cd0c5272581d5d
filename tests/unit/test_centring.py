"""What is tapped comes nearer to the picture's middle, and after some taps into it."""

import math

import pytest

from agent.pointing.aim import Reach
from agent.pointing.centring import axes_of, fov_deg, turn_to

DEGREES, SHARES = Reach((0, 360), (-90, 90)), Reach((-1, 1), (-1, 1))


@pytest.mark.parametrize("reach", [DEGREES, SHARES])
def test_the_middle_turns_nothing_and_the_upper_right_turns_right_and_up(reach):
    axes = axes_of(reach)
    assert turn_to((0.5, 0.5), 16 / 9, 60, 0, axes) == (0, 0)
    pan, tilt = turn_to((1, 0), 16 / 9, 60, 0, axes)
    assert pan * axes.pan_scale_deg == pytest.approx(30)
    assert tilt * axes.tilt_scale_deg == pytest.approx(math.degrees(math.atan(9 / 16 / 3**0.5)))


def test_zoomed_in_it_turns_less_and_looking_down_more():
    wide, tele = fov_deg(0.0, SHARES), fov_deg(1.0, SHARES)
    assert (wide, tele) == pytest.approx((60, 3))
    axes = axes_of(DEGREES)
    near = turn_to((0.9, 0.5), 16 / 9, tele, 0, axes)[0]
    assert 0 < near < turn_to((0.9, 0.5), 16 / 9, wide, 0, axes)[0] / 10
    assert turn_to((0.9, 0.5), 16 / 9, tele, -60, axes)[0] == pytest.approx(2 * near)
    assert turn_to((0.9, 0.5), 16 / 9, tele, -90, axes)[0] < math.inf
