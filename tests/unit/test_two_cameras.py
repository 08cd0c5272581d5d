"""Who leaves one camera and comes to another is linked by look and time, and never on a guess."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from agent.messages.passing import Passing
from agent.settings.model import Neighbours, SightingSettings
from agent.sightings.handover import DECIDE_AFTER_S, Matcher
from agent.sightings.likeness import likeness
from agent.sightings.travel import ANY_S, window_s
from agent.sightings.words import COLOURS

START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
RED_BLUE, GREEN_BLACK, BLACK = ("red", "blue"), ("green", "black"), ("black", "black")


def shares(colour, sure=0.8):
    """Return mostly one colour; the rest is grey, as on every street."""
    return tuple(
        sure if name == colour else round(1 - sure, 2) if name == "grey" else 0.0
        for name in COLOURS
    )


def passing(camera, begin_s, last_s, wears=RED_BLUE, track=1, *, is_over=True, **fields):
    known = {"upper": shares(wears[0]), "lower": shares(wears[1]), "label": "person"}
    return Passing(
        camera_id=camera,
        track_id=track,
        begin=START + timedelta(seconds=begin_s),
        last=START + timedelta(seconds=last_s),
        begin_s=begin_s,
        last_s=last_s,
        is_over=is_over,
        **{"came_at": (0.1, 0.8), "left_at": (0.9, 0.8)} | known | fields,
    )


def linked(*passings, until_s=200.0, window=ANY_S):
    """Return who was linked in the end, as (from, to) pairs of (camera, track)."""
    matcher = Matcher(lambda _start, _to: window)
    links = {}
    for at_s in range(int(until_s)):
        for one in passings:
            if one.is_over and at_s == int(one.last_s) + 5:
                matcher.take(one)
            elif at_s == int(one.begin_s) + 2:
                matcher.take(one if at_s > one.last_s + 4 else told_early(one))
        for found in matcher.settle(float(at_s)):
            ends = tuple((end.camera_id, end.track_id) for end in (found.before, found.after))
            if found.is_off:
                del links[ends]
            else:
                links[ends] = found.certainty
    return links


def told_early(one):
    return passing(
        one.camera_id,
        one.begin_s,
        one.begin_s + 2,
        track=one.track_id,
        is_over=False,
        upper=one.upper,
        lower=one.lower,
        height_m=one.height_m,
        label=one.label,
        came_at=one.came_at,
    )


GATE, YARD = ("gate", 1), ("yard", 1)


def test_one_who_walks_from_camera_to_camera_is_the_same_on_both():
    found = linked(passing("gate", 10, 30), passing("yard", 42, 60))
    assert list(found) == [(GATE, YARD)]
    assert 0.6 <= found[GATE, YARD] < 1


def test_over_three_cameras_each_hands_over_to_the_next():
    walk = [passing(camera, 40 * n, 40 * n + 20) for n, camera in enumerate("abc")]
    assert list(linked(*walk)) == [(("a", 1), ("b", 1)), (("b", 1), ("c", 1))]


def test_two_likes_side_by_side_are_ambiguous_and_nobody_is_linked():
    left = [passing("gate", 10, 30), passing("gate", 11, 31, track=2)]
    came = [passing("yard", 42, 60), passing("yard", 43, 61, track=2)]
    assert linked(*left, *came) == {}
    assert linked(*left, came[0]) == {}
    assert linked(left[0], *came) == {}


def test_two_who_look_different_are_both_linked_rightly():
    found = linked(
        passing("gate", 10, 30),
        passing("gate", 11, 31, GREEN_BLACK, track=2),
        passing("yard", 42, 60, GREEN_BLACK),
        passing("yard", 43, 61, track=2),
    )
    assert set(found) == {(GATE, ("yard", 2)), (("gate", 2), YARD)}


@pytest.mark.parametrize(
    "came",
    [
        passing("yard", 95, 110),  # too late
        passing("yard", 26, 60),  # before the other had left
        passing("yard", 42, 60, GREEN_BLACK),
        passing("yard", 42, 60, ("red", "black")),
        passing("yard", 42, 60, label="car"),
        passing("yard", 42, 60, height_m=1.1),
        passing("yard", 42, 60, upper=(), lower=()),  # at night: no colours, no link
        passing("gate", 42, 60),  # came back
    ],
)
def test_wrong_time_or_another_look_is_nobody_linked(came):
    assert linked(passing("gate", 10, 30, height_m=1.8), came) == {}


def test_a_link_is_withdrawn_when_another_as_like_comes_in_that_time():
    late = passing("yard", 60, 80, track=2)
    walk = [passing("gate", 10, 30), passing("yard", 42, 75)]
    assert linked(*walk, late, until_s=55) != {}
    assert linked(*walk, late) == {}


def test_who_went_on_to_a_third_camera_is_no_rival_of_himself():
    walk = [passing("gate", 10, 30), passing("yard", 42, 45), passing("roof", 50, 70)]
    assert list(linked(*walk)) == [(GATE, YARD), (YARD, ("roof", 1))]


def test_who_goes_to_and_fro_between_two_cameras_is_followed_all_the_way():
    walk = [passing("gate", 10, 20), passing("yard", 30, 40), passing("gate", 55, 65, track=2)]
    walk += [passing("yard", 74, 85, track=2)]
    ends = [(one.camera_id, one.track_id) for one in walk]
    found = linked(*walk)
    assert list(found) == list(pairwise(ends))
    assert len(set(found.values())) == 1  # to be seen again does not make a look common


def test_one_who_comes_as_another_as_like_may_be_back_is_ambiguous():
    left_the_yard = passing("yard", 5, 25)
    assert linked(left_the_yard, passing("gate", 10, 30), passing("yard", 42, 60, track=2)) == {}


def test_a_number_the_tracker_lost_and_gave_anew_does_not_hide_who_left():
    at = {"came_at": (0.5, 0.8), "left_at": (0.5, 0.8)}
    broken = [passing("gate", 10, 20, **at), passing("gate", 22, 30, track=2, **at)]
    assert list(linked(*broken, passing("yard", 42, 60))) == [(("gate", 2), YARD)]


def test_where_all_wear_black_black_proves_nothing():
    crowd = [passing("gate", 2 * n, 2 * n + 1, BLACK, track=10 + n) for n in range(40)]
    walk = [passing("gate", 160, 165, BLACK), passing("yard", 175, 185, BLACK)]
    assert linked(*walk, until_s=230) != {}
    assert linked(*crowd, *walk, until_s=230) == {}


def test_a_window_that_was_set_or_learned_takes_the_place_of_the_wide_one():
    walk = [passing("gate", 10, 30), passing("yard", 42, 60)]
    assert linked(*walk, window=(15.0, 40.0)) == {}
    way = Neighbours(cameras=("gate", "yard"), travel_s=(5, 20))
    told = SightingSettings(neighbours=(way,))
    learned = {("gate", "roof"): [10.0, 11.0, 12.0, 9.0, 10.0, 14.0, 50.0, 10.0, 11.0, 10.0]}
    assert window_s(told, learned, "yard", "gate") == (5, 20)
    assert window_s(told, learned, "roof", "gate") == ANY_S
    low, high = window_s(told, learned, "gate", "roof")
    assert 0 < low < 9
    assert 14 < high < 30  # one who stopped for a chat does not widen it
    with pytest.raises(ValueError, match="shortest"):
        Neighbours(cameras=("gate", "yard"), travel_s=(20, 5))


def test_likeness_falls_with_the_part_that_fits_worst():
    red = passing("gate", 0, 1)
    assert likeness(red, passing("yard", 5, 6)) == pytest.approx(1.0)
    assert likeness(red, passing("yard", 5, 6, ("red", "black"))) == pytest.approx(0.2)
    assert likeness(red, passing("yard", 5, 6, upper=())) is None
    assert DECIDE_AFTER_S > 5  # by then a camera has told who is gone
