"""What lies still is found in falling snow, too, and the snow itself is nothing left behind."""

import numpy as np

from agent.rules.still_things import StillThings


def snowy_street(number, *, bag=False):
    """Return a road with bright marks, here and there a flake; a dark bag where it was put."""
    luma = np.full((92, 160), 60, np.uint8)
    luma[70:74] = np.where(np.arange(160) // 16 % 2, 150, 60)
    if bag:
        luma[40:52, 60:72] = 190
    flakes = np.random.default_rng(number)
    luma[flakes.integers(0, 92, 700), flakes.integers(0, 160, 700)] = 235
    return luma


def found_after(seconds, bag_from_s=float("inf")):
    things = StillThings(near=0.5, max_area=0.05)
    found = []
    for number in range(int(seconds * 5)):
        at_s = number / 5
        things.look(snowy_street(number, bag=at_s >= bag_from_s), at_s)
        found += [(at_s, thing) for thing in things.found(10.0)]
    return found


def test_minutes_of_snow_are_nothing_left_behind():
    assert found_after(240.0) == []


def test_a_bag_put_down_in_the_snow_is_found():
    found = found_after(60.0, bag_from_s=30.0)
    assert found
    at_s, thing = found[0]
    assert 40.0 <= at_s <= 45.0
    assert thing.is_new
    assert abs(thing.region.x - 60 / 160) < 0.03
