"""The intrusion rule begins after the dwell time, bears lost identities, and always ends."""

import pytest

from agent.contract.events import Region
from agent.messages.vision import HitState, TrackedObject
from agent.rules.alarm import CONTINUES_EVERY_S, UNWATCHED
from agent.rules.rule import build
from agent.settings.rules import IntrusionRule

ZONE = ((0.4, 0.4), (0.8, 0.4), (0.8, 0.9), (0.4, 0.9))


def rule(**changes):
    settings = {"rule_id": "yard", "zone": ZONE, "dwell_s": 1.0, "clear_s": 3.0} | changes
    [made] = build([IntrusionRule(**settings)])
    return made


def person(x=0.6, foot=0.7, track_id=1, score=0.8, label="person"):
    region = Region(x=x - 0.025, y=foot - 0.2, width=0.05, height=0.2)
    return TrackedObject(track_id, label, score, region)


def run(a_rule, frames, step_s=0.2, start_s=100.0):
    """Feed frames; return (seconds since the start, state) of every change."""
    told = []
    for n, tracks in enumerate(frames):
        at_s = start_s + n * step_s
        told += [(round(at_s - start_s, 3), one.state) for one in a_rule.update(tracks, at_s)]
    return told


def test_it_begins_after_the_dwell_time_and_ends_after_the_clear_time():
    frames = [[person()]] * 10 + [[]] * 30
    assert run(rule(), frames) == [(1.0, HitState.BEGAN), (4.8, HitState.ENDED)]


def test_the_change_tells_who():
    a_rule = rule(dwell_s=0)
    [began] = a_rule.update([person(track_id=7), person(x=0.1, track_id=8)], 1.0)
    assert (began.rule_id, began.state) == ("yard", HitState.BEGAN)
    assert [one.track_id for one in began.objects] == [7]
    [ended] = [change for n in range(5) for change in a_rule.update([], 2.0 + n)]
    assert (ended.state, ended.objects, ended.reason) == (HitState.ENDED, (), "clear")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(person(label="dog"), id="another class"),
        pytest.param(person(x=0.2), id="outside"),
        pytest.param(person(foot=0.39), id="feet above the zone"),
        pytest.param(person(score=0.3), id="never sure enough"),
    ],
)
def test_it_never_begins_for(other):
    assert run(rule(dwell_s=0), [[other]] * 20) == []


def test_passing_through_faster_than_the_dwell_time_is_no_intrusion():
    assert run(rule(), [[person()]] * 4 + [[]] * 40) == []


def test_a_score_that_dips_after_it_was_sure_goes_on():
    frames = [[person(score=0.5)]] + [[person(score=0.2)]] * 9
    assert run(rule(), frames) == [(1.0, HitState.BEGAN)]


def test_a_missed_frame_or_two_do_not_start_the_dwell_time_again():
    frames = [[person()], [person()], [], [], [person()], [person()]]
    assert run(rule(), frames) == [(1.0, HitState.BEGAN)]


def test_a_new_identity_where_one_was_lost_inherits_its_dwell_time():
    frames = [[person(track_id=n, x=0.5 + 0.01 * n)] for n in range(6)]
    assert run(rule(), frames) == [(1.0, HitState.BEGAN)]


def test_a_new_identity_far_away_or_beside_the_old_one_inherits_nothing():
    far = [[person(x=0.45)], [person(x=0.45)], [], [person(x=0.75, track_id=2)]]
    assert run(rule(dwell_s=0.5), far) == []
    beside = [[person()], [person()], [person(), person(x=0.62, track_id=2)]]
    beside += [[person(x=0.62, track_id=2)]]
    assert run(rule(dwell_s=0.5), beside) == []


def test_it_says_about_every_five_seconds_that_it_continues():
    told = run(rule(), [[person()]] * 61)
    assert [state for _, state in told] == [HitState.BEGAN] + [HitState.CONTINUES] * 2
    times = [at for at, _ in told]
    assert times == pytest.approx([1.0, 1.0 + CONTINUES_EVERY_S, 1.0 + 2 * CONTINUES_EVERY_S])


def test_someone_back_before_the_clear_time_is_the_same_intrusion():
    frames = [[person()]] * 6 + [[]] * 10 + [[person(track_id=2)]] * 5
    assert run(rule(), frames) == [(1.0, HitState.BEGAN)]


def test_after_a_long_time_without_frames_it_ends_as_unwatched_and_dwell_starts_again():
    a_rule = rule()
    run(a_rule, [[person()]] * 6, start_s=0.0)
    [ended] = a_rule.update([person()], 60.0)
    assert (ended.state, ended.reason) == (HitState.ENDED, UNWATCHED)
    assert a_rule.update([person()], 60.8) == []
    [began] = a_rule.update([person()], 61.0)
    assert began.state is HitState.BEGAN


def test_a_slow_camera_with_a_frame_every_two_seconds_works():
    frames = [[], [person()], [person()], [person()], [], [], []]
    assert run(rule(), frames, step_s=2.0) == [(4.0, HitState.BEGAN), (10.0, HitState.ENDED)]
