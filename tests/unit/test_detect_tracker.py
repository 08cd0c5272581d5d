"""An object keeps its identity while it moves, is missed for a moment, or changes its label."""

import pytest

from agent.contract.events import Region
from agent.detect.tracker import Tracker
from agent.messages.vision import Detection


def thing(x, y=0.5, label="person", score=0.8):
    return Detection(label, score, Region(x=x, y=y, width=0.05, height=0.2))


def run(frames, step_s=0.2):
    tracker = Tracker()
    return [tracker.update(seen, 10.0 + n * step_s) for n, seen in enumerate(frames)]


def test_a_track_is_told_from_its_second_sighting_on():
    told = run([[thing(0.1)], [thing(0.11)]])
    assert told[0] == []
    assert [(one.label, one.score) for one in told[1]] == [("person", 0.8)]
    assert told[1][0].region == thing(0.11).region


def test_two_people_walking_past_each_other_keep_their_identities():
    told = run([[thing(0.1 + 0.02 * n, 0.3), thing(0.7 - 0.02 * n, 0.55)] for n in range(30)])
    assert all(len(seen) == 2 for seen in told[1:])
    by_row = [{one.region.y: one.track_id for one in seen} for seen in told[1:]]
    assert all(ids == by_row[0] for ids in by_row)


@pytest.mark.parametrize("step_s", [0.1, 0.2, 0.5])
def test_a_walker_missed_for_a_moment_keeps_the_identity(step_s):
    speed = 0.05
    frames = [[thing(0.1 + speed * n * step_s)] for n in range(16)]
    frames[8] = frames[9] = []
    told = run(frames, step_s)
    assert told[8] == []
    assert {one.track_id for seen in told for one in seen} == {1}


def test_a_faint_sighting_continues_a_track_but_begins_none():
    faint = thing(0.5, score=0.2)
    assert run([[faint]] * 5) == [[]] * 5
    told = run([[thing(0.5)], [thing(0.5)], [faint], [faint]])
    assert [len(seen) for seen in told] == [0, 1, 1, 1]
    assert told[-1][0].score == 0.2


def test_a_single_false_sighting_is_never_told():
    assert run([[thing(0.5)], [], [], []]) == [[]] * 4


def test_a_vehicle_taken_for_another_keeps_its_identity_and_its_best_label():
    told = run(
        [
            [thing(0.5, label="car", score=0.9)],
            [thing(0.5, label="truck", score=0.5)],
            [thing(0.5, label="car", score=0.6)],
        ]
    )
    assert [(one.track_id, one.label) for seen in told for one in seen] == [(1, "car")] * 2


def test_a_person_and_a_car_in_one_place_are_two_tracks():
    told = run([[thing(0.5), thing(0.5, label="car")]] * 3)
    assert {one.label for one in told[-1]} == {"person", "car"}


def test_after_a_long_pause_it_is_somebody_else():
    tracker = Tracker()
    tracker.update([thing(0.5)], 0.0)
    [before] = tracker.update([thing(0.5)], 0.2)
    tracker.update([], 10.0)
    tracker.update([thing(0.5)], 10.2)
    [after] = tracker.update([thing(0.5)], 10.4)
    assert after.track_id != before.track_id


def test_two_frames_of_the_same_moment_do_no_harm():
    tracker = Tracker()
    assert [len(tracker.update([thing(0.5)], 1.0)) for _ in range(3)] == [0, 1, 1]


def test_it_remembers_somebody_missed_for_a_moment_but_not_for_long():
    tracker = Tracker()
    assert not tracker.remembers_any
    tracker.update([thing(0.5)], 0.0)
    tracker.update([thing(0.5)], 0.2)
    assert tracker.update([], 1.2) == []
    assert tracker.remembers_any
    tracker.update([], 2.4)
    assert not tracker.remembers_any


def test_what_was_seen_long_ago_costs_nothing_any_more():
    tracker = Tracker()
    for n, label in enumerate(["car", "dog", "bird"] * 3):
        tracker.update([thing(0.5, label=label), thing(0.2, label="kite", score=0.15)], n * 0.2)
    for n in range(20):
        tracker.update([thing(0.2, label="kite", score=0.15)], 10.0 + n * 0.2)
    assert tracker._groups == {}
