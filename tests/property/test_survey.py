"""From landmarks alone the box tells where somebody stands, how fast he walks, how tall he is."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.contract.events import Region
from agent.messages.vision import TrackedObject
from agent.rules.survey import Survey
from agent.settings.rules import Calibration, Landmark

ASPECT = 16 / 9


def camera(height_m, tilt_deg, focal, turned_deg=0.0):
    """Return a function from (east, north, up) to the picture: an ideal camera on a pole."""
    tilt, turned = math.radians(tilt_deg), math.radians(turned_deg)
    ahead = np.array([math.sin(turned) * math.cos(tilt), math.cos(turned) * math.cos(tilt), 0.0])
    ahead[2] = -math.sin(tilt)
    right = np.array([math.cos(turned), -math.sin(turned), 0.0])
    down = np.cross(ahead, right)

    def see(place):
        off = np.array(place, float) - (0.0, 0.0, height_m)
        depth = off @ ahead
        return (focal * (off @ right) / depth / ASPECT + 0.5, focal * (off @ down) / depth + 0.5)

    return see


def calibrated(see, places):
    return Calibration(
        landmarks=tuple(Landmark(at=see((*place, 0.0)), ground_m=place) for place in places)
    )


def person(see, place, tall_m):
    (x, foot), (_, top) = see((*place, 0.0)), see((*place, tall_m))
    return TrackedObject(7, "person", 0.9, Region(x - 0.01, top, 0.02, foot - top))


@settings(max_examples=60, deadline=None)
@given(
    height_m=st.floats(3.5, 8),
    tilt_deg=st.floats(15, 40),
    turned_deg=st.floats(-20, 20),
    tall_m=st.floats(1.2, 2.0),
    east=st.floats(-1, 1),
    speed=st.floats(0.0, 4.0),
)
def test_place_speed_and_height_of_a_walker(height_m, tilt_deg, turned_deg, tall_m, east, speed):
    reach_m = height_m / math.tan(math.radians(tilt_deg))
    see = camera(height_m, tilt_deg, 0.9, turned_deg)
    turned = math.radians(turned_deg)

    def on_axis(x, y):  # where the camera looks, whichever way that is
        return (
            x * math.cos(turned) + y * math.sin(turned),
            -x * math.sin(turned) + y * math.cos(turned),
        )

    marks = [
        on_axis(x * reach_m, y * reach_m)
        for x, y in ((-0.4, 0.9), (0.4, 0.9), (0.4, 1.3), (-0.4, 1.3))
    ]
    survey = Survey(calibrated(see, marks))
    for n in range(16):
        at_s = n / 5
        place = on_axis(east, 0.9 * reach_m + speed * at_s)
        [seen] = survey.place([person(see, place, tall_m)], at_s, ASPECT)
    assert seen.ground_m == pytest.approx(place, abs=0.02)
    assert seen.speed_mps == pytest.approx(speed, abs=0.05)
    assert seen.height_m == pytest.approx(tall_m, rel=0.03)


def test_what_cannot_be_told_is_left_unknown():
    track = TrackedObject(1, "person", 0.9, Region(0.4, 0.3, 0.05, 0.2))
    assert Survey(None).place([track], 0.0, ASPECT) == (track,)
    [top] = Survey(Calibration(size_m=(20.0, 10.0))).place([track], 0.0, ASPECT)
    assert (top.ground_m, top.speed_mps, top.height_m) == ((8.5, 5.0), None, None)
    see = camera(5.0, 30.0, 0.9)
    sky = Survey(calibrated(see, [(-3, 8), (3, 8), (3, 12), (-3, 12)]))
    bird = TrackedObject(2, "bird", 0.9, Region(0.4, -0.9, 0.05, 0.2))
    [seen] = sky.place([bird], 0.0, ASPECT)
    assert seen.ground_m is None
