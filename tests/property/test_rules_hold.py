"""Whatever the tracks are: lines keep their parity, dwell is exact, nonsense never crashes."""

import itertools
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent.contract.events import Region
from agent.messages.vision import HitState, TrackedObject
from agent.rules.rule import build
from agent.rules.scene import Scene
from agent.settings import rules as told
from agent.settings.schedule import is_awake, window
from tests.moving_things import WHOLE, play, thing

LINE = ((0.5, -0.0), (0.5, 1.0))
ANY = st.floats(-0.6, 1.6) | st.floats(allow_nan=True, allow_infinity=True)
LUMA = np.zeros((180, 320), np.uint8)


def every_rule():
    return build(
        [
            told.IntrusionRule(rule_id="a", zone=WHOLE, dwell_s=0),
            told.LoiteringRule(rule_id="b", zone=WHOLE),
            told.LineCrossingRule(rule_id="c", line=LINE),
            told.AbandonedObjectRule(rule_id="d", zone=WHOLE),
            told.RemovedObjectRule(rule_id="e", zone=WHOLE, enabled=True),
            told.CrowdRule(rule_id="f", zone=WHOLE, area_m2=1.0),
            told.WrongWayRule(rule_id="g", zone=WHOLE, way=(1, 0), labels=("person",)),
            told.StoppedVehicleRule(rule_id="h", zone=WHOLE, labels=("person",)),
            told.TamperRule(rule_id="i"),
            told.FloodRule(rule_id="j", gauge=((0.5, 0.9), (0.5, 0.1)), enabled=True),
            told.PersonDownRule(rule_id="k", zone=WHOLE, enabled=True),
        ]
    )


@given(
    st.lists(st.floats(0.2, 0.8), min_size=2, max_size=12),
    st.lists(st.floats(-0.012, 0.012), min_size=60, max_size=60),
)
def test_crossings_keep_their_parity_under_jitter(corners, jitter):
    """Net crossings are what the first and the last sure place say; ways alternate."""
    path = [a + (b - a) * step / 10 for a, b in itertools.pairwise(corners) for step in range(10)]
    path += [corners[-1]] * 5
    [rule] = build([told.LineCrossingRule(rule_id="l", line=LINE, alarm="none")])
    ways, before = [], (0, 0)
    for number, x in enumerate(path):
        rule.update([thing(x + jitter[number % 60], 0.5)], 10.0 + number / 5)
        counted = rule.counters
        now = (counted["forward"], counted["back"])
        ways += [1] * (now[0] - before[0]) + [-1] * (now[1] - before[1])
        before = now
    assert all(one == -other for one, other in itertools.pairwise(ways))
    margin = 0.02
    if abs(path[0] - 0.5) > margin and abs(path[-1] - 0.5) > margin:
        went = (path[-1] < 0.5) - (path[0] < 0.5)  # forward: to the right of one who looks down it
        assert sum(ways) == went


@given(st.integers(1, 40), st.sampled_from([2.0, 5.0, 10.0]), st.sampled_from(["in", "loi"]))
def test_dwell_is_exact_to_one_frame(frames, fps, kind):
    dwell_s = frames / fps
    settings = (
        told.IntrusionRule(rule_id="r", zone=WHOLE, dwell_s=dwell_s)
        if kind == "in"
        else told.LoiteringRule(rule_id="r", zone=WHOLE, dwell_s=dwell_s)
    )
    [rule] = build([settings])
    told_of = play(rule, [[thing(0.5, 0.5)]] * (frames + 3), fps=fps, start_s=0.0)
    [began_s] = [at_s for at_s, one in told_of if one.state is HitState.BEGAN]
    assert dwell_s - 1e-9 <= began_s <= dwell_s + 1 / fps + 1e-9


@given(st.lists(st.tuples(ANY, ANY, ANY, ANY, ANY, st.integers(0, 3)), max_size=12))
def test_nonsense_boxes_never_crash_a_rule_nor_make_it_true(boxes):
    rules = every_rule()
    for number, (x, y, width, height, score, track_id) in enumerate(boxes):
        track = TrackedObject(track_id, "person", score, Region(x, y, width, height))
        numbers = (x, y, width, height, score)
        solid = all(map(math.isfinite, numbers)) and width > 0 and height > 0
        for rule in rules:
            found = rule.update([track], float(number)) + rule.see(Scene(LUMA), float(number))
            for change in found:
                assert solid or track not in change.objects


@given(st.lists(st.lists(st.integers(0, 5), max_size=4, unique=True), max_size=40))
def test_every_rule_tells_began_and_ended_in_turn(film):
    active = dict.fromkeys("abcdefghijk", False)
    rules = every_rule()
    for number, ids in enumerate(film):
        tracks = [thing(0.1 + 0.15 * (n + number % 2), 0.5, track_id=n) for n in ids]
        for rule in rules:
            for change in rule.update(tracks, number / 2) + rule.see(Scene(LUMA), number / 2):
                assert active[rule.rule_id] == (change.state is not HitState.BEGAN)
                active[rule.rule_id] = change.state is not HitState.ENDED


@given(st.datetimes())
def test_a_window_past_midnight_is_the_one_that_begins_in_the_evening(local):
    night, day = window("fri 22:00-06:00"), window("06:00-22:00")
    late = local.weekday() == 4 and local.hour >= 22
    early = local.weekday() == 5 and local.hour < 6
    assert is_awake([night], local) is (late or early)
    assert is_awake([day], local) is (6 <= local.hour < 22)
    assert is_awake([], local)
