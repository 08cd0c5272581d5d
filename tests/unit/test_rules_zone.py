"""A point counts as inside exactly where the polygon on the picture covers it."""

import pytest

from agent.rules.zone import contains

SQUARE = ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8))
HORSESHOE = (
    (0.1, 0.1),
    (0.9, 0.1),
    (0.9, 0.9),
    (0.6, 0.9),
    (0.6, 0.4),
    (0.4, 0.4),
    (0.4, 0.9),
    (0.1, 0.9),
)


@pytest.mark.parametrize(
    ("zone", "point", "inside"),
    [
        pytest.param(SQUARE, (0.5, 0.5), True, id="middle"),
        pytest.param(SQUARE, (0.1, 0.5), False, id="left of it"),
        pytest.param(SQUARE, (0.9, 0.5), False, id="right of it"),
        pytest.param(SQUARE, (0.5, 0.9), False, id="below it"),
        pytest.param(SQUARE[::-1], (0.5, 0.5), True, id="drawn the other way round"),
        pytest.param(HORSESHOE, (0.5, 0.7), False, id="in the gap of a horseshoe"),
        pytest.param(HORSESHOE, (0.25, 0.7), True, id="in its left arm"),
        pytest.param(HORSESHOE, (0.75, 0.7), True, id="in its right arm"),
        pytest.param(((0.1, 0.5), (0.5, 0.1), (0.9, 0.5)), (0.5, 0.3), True, id="level with none"),
        pytest.param(
            ((0.1, 0.5), (0.5, 0.1), (0.9, 0.5), (0.5, 0.9)),
            (0.3, 0.5),
            True,
            id="level with two corners",
        ),
    ],
)
def test_points_and_polygons(zone, point, inside):
    assert contains(zone, point) is inside
