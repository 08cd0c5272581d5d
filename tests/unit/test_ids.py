"""ULIDs sort by the time they were made for, and never repeat."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.ids import new_epoch, new_ulid

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_times = st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001 (hypothesis wants naive bounds)
    datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


def milliseconds(ulid: str) -> int:
    value = 0
    for letter in ulid[:10]:
        value = value * 32 + ALPHABET.index(letter)
    return value


@settings(deadline=None)
@given(_times)
def test_the_time_in_a_ulid_is_exact_to_the_millisecond(at):
    ulid = new_ulid(at)
    assert len(ulid) == 26
    assert set(ulid) <= set(ALPHABET)
    assert milliseconds(ulid) == (at - EPOCH) // timedelta(milliseconds=1)


@settings(deadline=None)
@given(_times, _times)
def test_ulids_sort_by_time(one, other):
    if one + timedelta(milliseconds=1) <= other:
        assert new_ulid(one) < new_ulid(other)


def test_the_time_zone_of_the_stamp_does_not_matter():
    seoul = datetime(2026, 11, 22, 9, tzinfo=timezone(timedelta(hours=9)))
    assert milliseconds(new_ulid(seoul)) == milliseconds(new_ulid(seoul.astimezone(UTC)))


def test_a_box_whose_clock_is_before_1970_still_makes_ids():
    assert milliseconds(new_ulid(datetime(1969, 12, 31, tzinfo=UTC))) == 0


def test_a_naive_time_is_refused():
    with pytest.raises(TypeError):
        new_ulid(datetime(2026, 11, 22))  # noqa: DTZ001


def test_ids_of_one_moment_differ():
    at = datetime(2026, 11, 22, tzinfo=UTC)
    assert len({new_ulid(at) for _ in range(1000)}) == 1000
    assert new_epoch() != new_epoch()
