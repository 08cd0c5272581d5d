"""The window is UTC, may pass midnight, and its edges are exact."""

from datetime import UTC, datetime

import msgspec
import pytest

from agent.contract.uploads import PART_BYTES, SINGLE_BYTES, part_count, part_range
from agent.core.rationing import is_open, next_day_in_s, opens_in_s
from agent.settings.model import UploadSettings


def at(hour, minute=0):
    return datetime(2026, 11, 22, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "when", "expected"),
    [
        ("", at(12), True),
        ("17:00-21:00", at(16, 59), False),
        ("17:00-21:00", at(17), True),
        ("17:00-21:00", at(21), False),
        ("22:00-04:00", at(23), True),
        ("22:00-04:00", at(3, 59), True),
        ("22:00-04:00", at(4), False),
    ],
)
def test_a_window_is_open_from_its_first_minute_to_before_its_last(window, when, expected):
    assert is_open(window, when) is expected


def test_it_is_known_when_the_window_opens_and_the_budget_is_whole_again():
    assert opens_in_s("17:00-21:00", at(16)) == 3600
    assert opens_in_s("17:00-21:00", at(22)) == 19 * 3600
    assert next_day_in_s(at(23)) == 3600


@pytest.mark.parametrize("window", ["1:00-2:00", "24:00-01:00", "always", "01:00"])
def test_a_window_that_is_none_is_refused(window):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"window": window}, UploadSettings)


@pytest.mark.parametrize("size", [1, SINGLE_BYTES, SINGLE_BYTES + 1, 3 * PART_BYTES])
def test_parts_cover_a_file_without_hole_or_overlap(size):
    ranges = [part_range(size, n) for n in range(1, part_count(size) + 1)]
    assert sum(length for _, length in ranges) == size
    assert [offset for offset, _ in ranges] == [
        sum(length for _, length in ranges[:n]) for n in range(len(ranges))
    ]
