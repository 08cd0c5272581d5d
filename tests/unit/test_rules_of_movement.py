"""Loitering, lines, ways, halts, crowds, falls: each rule fires when it should, and only then."""

from datetime import UTC, datetime, timedelta

import pytest

from agent.contract.events import EventKind
from agent.messages.picture import PictureKind
from agent.messages.vision import HitState
from agent.rules.ground import Ground
from agent.rules.rule import Place, build
from agent.rules.scene import Scene
from agent.settings import rules as told
from tests.moving_things import WHOLE, play, thing

BEGAN, CONTINUES, ENDED = HitState
DOOR = ((0.4, 0.4), (0.6, 0.4), (0.6, 0.9), (0.4, 0.9))
MIDDLE = ((0.5, 0.1), (0.5, 0.9))


def made(settings, place=None):
    [rule] = build([settings], place)
    return rule


def changes(settings, film, **timing):
    """Seconds and state of every change that is news."""
    found = play(made(settings), film, **timing)
    return [(at_s, one.state) for at_s, one in found if one.state is not CONTINUES]


# Loitering


def loitering(**fields):
    return told.LoiteringRule(rule_id="door", zone=DOOR, **fields)


def test_who_stays_thirty_seconds_loiters_from_that_very_frame_on():
    [(at_s, state)] = changes(loitering(), [[thing(0.5, 0.8)]] * 200)
    assert (state, at_s) == (BEGAN, 30.0)


def test_short_absences_do_not_break_the_dwell_time_and_a_long_one_does():
    stays = [[thing(0.5, 0.8)]] * 50
    steps_out = [[thing(0.7, 0.8)]] * 20
    assert changes(loitering(), (stays + steps_out) * 3)[0][0] == pytest.approx(30.0, abs=4.1)
    leaves = [[thing(0.7, 0.8)]] * 30
    assert changes(loitering(), (stays + leaves) * 4) == []


def test_passers_by_one_after_another_are_nobody_who_loiters():
    film = []
    for person in range(20):
        film += [[thing(0.3 + 0.02 * step, 0.8, track_id=person)] for step in range(20)]
    assert changes(loitering(), film) == []


def test_an_identity_lost_behind_a_post_keeps_its_dwell_time():
    film = [[thing(0.5, 0.8, track_id=1)]] * 70 + [[]] * 8 + [[thing(0.52, 0.8, track_id=9)]] * 90
    assert changes(loitering(), film)[0][0] == pytest.approx(30.0, abs=0.3)


# Lines


def crossing(**fields):
    return made(told.LineCrossingRule(rule_id="gate", line=MIDDLE, **fields))


def walk(start, end, frames=20, y=0.5, track_id=1):
    return [
        [thing(start + (end - start) * step / (frames - 1), y, track_id)] for step in range(frames)
    ]


def test_both_ways_are_counted_apart():
    rule = crossing()
    play(rule, walk(0.3, 0.7) + walk(0.7, 0.3) + walk(0.3, 0.7))
    assert rule.counters == {"forward": 1, "back": 2}


def test_who_walks_round_the_end_of_the_line_has_not_crossed_it():
    rule = crossing()
    play(rule, walk(0.3, 0.7, y=0.95))
    assert rule.counters == {"forward": 0, "back": 0}


def test_only_the_way_that_alarms_is_told_and_both_are_counted():
    rule = crossing(alarm="forward")
    there, back = walk(0.3, 0.7), walk(0.7, 0.3)
    found = play(rule, there + back + [[]] * 30)
    assert [one.state for _, one in found] == [BEGAN, ENDED]
    assert found[0][1].measures == {"forward": 1, "back": 1}
    assert rule.counters == {"forward": 1, "back": 1}
    assert play(crossing(alarm="none"), there + back) == []


def test_an_identity_lost_on_the_line_is_counted_all_the_same():
    rule = crossing()
    before, after = walk(0.4, 0.49, track_id=1), walk(0.51, 0.6, track_id=2)
    play(rule, [*before, [], [], *after])
    assert rule.counters == {"forward": 0, "back": 1}


def test_counts_go_on_after_a_restart_and_begin_anew_with_another_line(tmp_path):
    settings = told.LineCrossingRule(rule_id="gate", line=MIDDLE)
    place = Place(folder=tmp_path)
    play(made(settings, place), walk(0.3, 0.7) + walk(0.7, 0.3))
    again = made(settings, place)
    assert again.counters == {"forward": 1, "back": 1}
    play(again, walk(0.3, 0.7))
    assert made(settings, place).counters == {"forward": 1, "back": 2}
    moved = told.LineCrossingRule(rule_id="gate", line=((0.6, 0.1), (0.6, 0.9)))
    assert made(moved, place).counters == {"forward": 0, "back": 0}


# Ways and halts


def test_who_goes_against_the_way_is_told_and_who_goes_with_it_is_not():
    rule = told.WrongWayRule(rule_id="lane", zone=WHOLE, way=(1, 0), labels=("car",))
    against = [[thing(0.8 - 0.02 * step, 0.5, label="car", width=0.1)] for step in range(30)]
    assert [state for _, state in changes(rule, against)] == [BEGAN]
    assert changes(rule, against[::-1]) == []
    still = [[thing(0.5 + 0.005 * (step % 2), 0.5, label="car", width=0.1)] for step in range(50)]
    assert changes(rule, still) == []


def test_an_intrusion_with_a_direction_counts_only_who_goes_there():
    rule = told.IntrusionRule(rule_id="door", zone=WHOLE, dwell_s=0.0, toward=(0, -1))
    up = [[thing(0.5, 0.9 - 0.02 * step)] for step in range(20)]
    assert [state for _, state in changes(rule, up)] == [BEGAN]
    assert changes(rule, up[::-1]) == []


def test_a_vehicle_that_stands_for_a_minute_is_told_and_one_that_creeps_is_not():
    rule = told.StoppedVehicleRule(rule_id="bay", zone=WHOLE)

    def car(x):
        return [thing(x, 0.5, label="car", width=0.1, height=0.1)]

    trembling = [car(0.5 + 0.01 * (step % 3)) for step in range(320)]
    [(at_s, state)] = changes(rule, trembling)
    assert (state, at_s) == (BEGAN, pytest.approx(60.0, abs=0.5))
    assert changes(rule, [car(0.1 + 0.002 * step) for step in range(400)]) == []


# Crowds


SQUARE = told.Calibration(
    landmarks=tuple(
        told.Landmark(at=at, ground_m=ground_m)
        for at, ground_m in (
            ((0.35, 0.4), (0.0, 10.0)),
            ((0.65, 0.4), (10.0, 10.0)),
            ((1.0, 1.0), (10.0, 0.0)),
            ((0.0, 1.0), (0.0, 0.0)),
        )
    )
)
GROUND = ((0.35, 0.4), (0.65, 0.4), (1.0, 1.0), (0.0, 1.0))


def test_landmarks_put_the_picture_on_the_ground():
    ground = Ground(SQUARE)
    assert ground.metres((0.0, 1.0)) == pytest.approx((0.0, 0.0), abs=1e-6)
    assert ground.metres((0.5, 1.0)) == pytest.approx((5.0, 0.0), abs=1e-6)
    assert ground.area_m2(GROUND) == pytest.approx(100.0)
    assert ground.metres((0.5, 0.01)) is None  # the sky
    top = Ground(told.Calibration(size_m=(20.0, 10.0)))
    assert top.area_m2(WHOLE) == pytest.approx(200.0)


def people(count):
    return [thing(0.05 + 0.9 * n / 500, 0.9, track_id=n) for n in range(count)]


def test_density_has_three_levels_that_do_not_flutter():
    rule = told.CrowdRule(rule_id="square", zone=WHOLE, area_m2=100.0, levels=(2.0, 3.0, 4.0))
    film = [people(190)] * 40 + [people(210)] * 40 + [people(195)] * 40  # 1.95 is above 2 - 15 %
    found = play(made(rule), film + [people(310)] * 40 + [people(100)] * 80)
    told_of = [(one.state, one.measures.get("level")) for _, one in found]
    assert told_of[0] == (BEGAN, 1)
    assert (CONTINUES, 2) in told_of
    assert told_of[-1][0] is ENDED
    levels = [level for _, level in told_of if level is not None]
    assert levels == sorted(levels)
    assert found[0][0] == pytest.approx(8.0 + 5.0, abs=2.0)


def test_without_the_size_of_the_ground_a_crowd_is_never_claimed():
    rule = told.CrowdRule(rule_id="square", zone=WHOLE)
    assert changes(rule, [people(400)] * 50) == []
    rule = told.CrowdRule(rule_id="square", zone=GROUND, levels=(2.0, 3.0, 4.0))
    dense = [[thing(0.5, 0.7, track_id=n) for n in range(250)]] * 60
    assert next(one.state for _, one in play(made(rule, Place(calibration=SQUARE)), dense)) is BEGAN


# Falls


def test_only_who_was_upright_and_then_lies_still_is_perhaps_down():
    rule = told.PersonDownRule(rule_id="walk", zone=WHOLE, enabled=True)
    upright = [[thing(0.5, 0.7, width=0.04, height=0.2)]] * 15
    lying = [[thing(0.5, 0.7, width=0.15, height=0.08)]] * 40
    [(at_s, state)] = changes(rule, upright + lying)
    assert (state, at_s) == (BEGAN, pytest.approx(3.0 + 4.0, abs=0.5))
    assert changes(rule, lying * 2) == []  # somebody on a bench
    crawls = [[thing(0.3 + 0.03 * n, 0.7, width=0.15, height=0.08)] for n in range(20)]
    assert changes(rule, upright + crawls) == []


# Tampering, schedules, grades


def test_a_covered_picture_is_tampering_once_it_lasts_and_noise_is_not():
    rule = made(told.TamperRule(rule_id="eye", hold_s=2.0))

    def see(at_s, *kinds):
        return [one.state for one in rule.see(Scene([[0]], frozenset(kinds)), at_s)]

    assert see(1.0) == see(2.0, PictureKind.NOISE) == see(3.0, PictureKind.COVERED) == []
    assert see(4.0) == see(5.0, PictureKind.COVERED) == see(6.0, PictureKind.MOVED) == []
    assert see(7.0, PictureKind.COVERED) == [BEGAN]
    assert see(8.0, PictureKind.COVERED) == see(9.0) == []
    assert see(12.0) == [ENDED]
    assert rule.update([thing(0.5, 0.5)], 13.0) == []


def test_a_rule_sleeps_outside_its_schedule_and_ends_what_holds():
    monday_night = datetime(2026, 11, 23, 21, 59, 50, tzinfo=UTC)
    place = Place(local_time=lambda at_s: monday_night + timedelta(seconds=at_s))
    settings = told.IntrusionRule(rule_id="yard", zone=WHOLE, schedule=("mon 22:00-22:01",))
    found = play(made(settings, place), [[thing(0.5, 0.5)]] * 500, start_s=0.0)
    states = [(at_s, one.state, one.reason) for at_s, one in found if one.state is not CONTINUES]
    assert states == [(11.0, BEGAN, None), (70.0, ENDED, "schedule")]


def test_experimental_rules_are_off_until_they_are_switched_on():
    gauge = ((0.5, 0.9), (0.5, 0.3))
    rules = [
        told.FloodRule(rule_id="river", gauge=gauge),
        told.PersonDownRule(rule_id="walk", zone=WHOLE),
        told.RemovedObjectRule(rule_id="statue", zone=WHOLE),
        told.IntrusionRule(rule_id="yard", zone=WHOLE),
        told.IntrusionRule(rule_id="off", zone=WHOLE, enabled=False),
    ]
    assert [rule.rule_id for rule in build(rules)] == ["yard"]
    on = told.FloodRule(rule_id="river", gauge=gauge, enabled=True)
    assert [rule.kind for rule in build([on])] == [EventKind.FLOOD]
