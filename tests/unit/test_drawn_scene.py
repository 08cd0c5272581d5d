"""The drawn street is the same picture every time, empty when it says so, at any size."""

from itertools import islice

import numpy as np
import pytest

from agent.rules.zone import contains
from agent.simulators.drawn_scene import (
    CYCLE_S,
    ROAD_ZONE,
    WALK_BEGINS_S,
    WALK_ENDS_S,
    frames,
    person_at,
)


@pytest.mark.parametrize(("width_px", "height_px"), [(640, 480), (320, 180), (97, 61)])
def test_it_draws_every_frame_of_the_asked_size_the_same_each_time(width_px, height_px):
    first, second = (list(frames(width_px, height_px, 2.0, 12.0)) for _ in range(2))
    assert len(first) == 24
    assert {(one.shape, one.dtype) for one in first} == {
        ((height_px, width_px, 3), np.dtype(np.uint8))
    }
    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def test_where_somebody_is_the_picture_differs_from_the_empty_street_and_nowhere_else():
    pictures = list(frames(320, 180, 1.0, CYCLE_S))
    empty = pictures[0].astype(int)
    for at_s, picture in enumerate(pictures):
        changed = np.abs(picture.astype(int) - empty).max(axis=2) > 40
        region = person_at(at_s, 320, 180)
        if region is None:
            assert changed.mean() < 0.005  # a shadow may come first
        elif region.width > 0.05:
            columns = np.flatnonzero(changed.sum(axis=0) > 5) / 320
            assert region.x - 0.08 < columns.min() < columns.max() < region.x + region.width + 0.1


def test_the_walk_comes_back_the_other_way_and_leads_through_the_zone():
    there, back = (feet_of(cycle) for cycle in range(2))
    assert there[0][0] < 0.1
    assert there[-1][0] > 0.9
    assert back[0][0] > 0.9
    assert back[-1][0] < 0.1
    for walk in (there, back):
        assert sum(contains(ROAD_ZONE, foot) for foot in walk) > 30


def feet_of(cycle):
    tenths = range(int(10 * WALK_BEGINS_S), int(10 * WALK_ENDS_S))
    regions = [person_at(cycle * CYCLE_S + tenth / 10, 640, 360) for tenth in tenths]
    return [(one.x + one.width / 2, one.y + one.height) for one in regions if one]


def test_it_can_go_on_without_end():
    assert len(list(islice(frames(64, 36, 1.0, 1e9), 3))) == 3
