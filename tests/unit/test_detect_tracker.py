"""An object keeps its identity while it moves, is missed for a moment, or changes its label."""

import numpy as np
import pytest

from agent.contract.events import Region
from agent.detect.letterbox import Letterboxed
from agent.detect.manifest import Thresholds
from agent.detect.tracker import Tracker
from agent.messages.vision import Detection


def thing(x, y=0.5, label="person", score=0.8, width=0.05):
    return Detection(label, score, Region(x=x, y=y, width=width, height=0.2))


def run(frames, step_s=0.2):
    tracker = Tracker()
    return [tracker.update(seen, 10.0 + n * step_s) for n, seen in enumerate(frames)]


def test_a_track_is_told_from_its_second_sighting_on():
    told = run([[thing(0.1)], [thing(0.11)]])
    assert told[0] == []
    assert [(one.label, one.score) for one in told[1]] == [("person", 0.8)]
    assert told[1][0].region.x == pytest.approx(0.11, abs=0.002)


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


def test_somebody_new_needs_a_higher_score_than_somebody_followed():
    tracker = Tracker(Thresholds(default=0.5, new={"person": 0.65}))
    scores = [0.6, 0.6, 0.7, 0.6, 0.55]
    told = [tracker.update([thing(0.5, score=one)], k * 0.2) for k, one in enumerate(scores)]
    assert [len(one) for one in told] == [0, 0, 0, 1, 1]


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


def test_boxes_that_tremble_are_told_steadier():
    luck = np.random.default_rng(5)
    off = luck.normal(0, 0.005, 40)
    told = run([[thing(0.5 + one)] for one in off], 0.1)
    assert np.std([seen[0].region.x for seen in told[5:]]) < 0.8 * np.std(off[5:])


@pytest.mark.parametrize("odd", [thing(0.51, score=0.2), thing(0.475, width=0.12)])
def test_a_box_that_is_doubted_or_of_odd_size_moves_nobody_far(odd):
    def moved(last):
        region = run([*[[thing(0.5)]] * 12, [last]], 0.1)[-1][0].region
        start, end = 0.525, last.region.x + last.region.width / 2
        return (region.x + region.width / 2 - start) / (end - start)

    assert 0 < moved(odd) < 0.8 * moved(thing(0.51))


def test_who_walked_out_of_the_picture_is_not_who_walks_in_there():
    out = [[thing(min(0.955, 0.7 + 0.02 * n))] for n in range(14)]
    told = run([*out, *[[]] * 6, *[[thing(0.95 - 0.02 * n)] for n in range(8)]])
    assert told[-1][0].track_id != told[12][0].track_id


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
    tracker.update([], 5.4)
    assert not tracker.remembers_any


def in_colours(*colours):
    """Return the detector's input with each person of `things` in a colour of their own."""
    image = np.full((256, 416, 3), 110, np.uint8)
    for place, colour in colours:
        region = place.region
        rows = slice(int(region.y * 256), int((region.y + region.height) * 256))
        columns = slice(int(region.x * 416), int((region.x + region.width) * 416))
        image[rows, columns] = colour
    return Letterboxed(image, 416, 256)


RED, BLUE = (190, 40, 40), (40, 60, 190)


def test_two_who_meet_and_turn_back_are_told_apart_by_their_colours():
    tracker = Tracker()
    steps = [*range(10), *range(10, 0, -1)]
    tracks = []
    for n, step in enumerate(steps):
        red, blue = thing(0.35 + 0.012 * step), thing(0.59 - 0.012 * step)
        seen = [red] if step == 10 else [red, blue]  # for a moment one hides the other
        picture = in_colours((blue, BLUE), (red, RED))
        tracks.append(tracker.update(seen, 10.0 + 0.2 * n, picture))
    first, last = (
        {one.region.x > 0.47: one.track_id for one in tracks[n]} for n in (5, len(steps) - 1)
    )
    assert first == last


def test_who_was_hidden_is_known_again_by_place_and_colour():
    tracker = Tracker()
    red = thing(0.5)
    for n in range(5):
        [*_, before] = tracker.update([red], 0.2 * n, in_colours((red, RED))) or [None]
    tracker.update([], 2.0)
    [after] = tracker.update([red], 3.0, in_colours((red, RED)))
    assert after.track_id == before.track_id
    tracker.update([], 4.0)
    assert tracker.update([red], 5.0, in_colours((red, BLUE))) == []  # somebody else, new


def test_a_part_of_somebody_followed_is_not_somebody_new():
    torso = Detection("person", 0.6, Region(x=0.505, y=0.5, width=0.04, height=0.08))
    told = run([[thing(0.5)]] * 3 + [[thing(0.5), torso]] * 4)
    assert {one.track_id for seen in told for one in seen} == {1}


def test_what_was_seen_long_ago_costs_nothing_any_more():
    tracker = Tracker()
    for n, label in enumerate(["car", "dog", "bird"] * 3):
        tracker.update([thing(0.5, label=label), thing(0.2, label="kite", score=0.15)], n * 0.2)
    for n in range(20):
        tracker.update([thing(0.2, label="kite", score=0.15)], 10.0 + n * 0.2)
    assert not tracker.remembers_any
    assert tracker.update([thing(0.2, label="kite", score=0.15)], 20.0) == []
