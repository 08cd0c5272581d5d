"""Whatever people and cameras do, the intrusion rule tells a story that makes sense."""

from hypothesis import given
from hypothesis import strategies as st

from agent.contract.events import Region
from agent.messages.vision import HitState, TrackedObject
from agent.rules.intrusion import Intrusion
from agent.rules.zone import contains
from agent.settings.rules import IntrusionRule

ZONE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
FEET = st.sampled_from([0.1, 0.3, 0.35, 0.5, 0.6, 0.9])


@st.composite
def tracks(draw):
    width, height = 0.04, 0.1
    foot_x, foot_y = draw(FEET), draw(FEET)
    return TrackedObject(
        draw(st.integers(1, 4)),
        draw(st.sampled_from(["person", "person", "dog"])),
        draw(st.sampled_from([0.1, 0.5, 0.9])),
        Region(x=foot_x - width / 2, y=max(0.0, foot_y - height), width=width, height=height),
    )


one_frame = st.lists(tracks(), max_size=3, unique_by=lambda track: track.track_id)
pauses_s = st.sampled_from([0.0, 0.1, 0.2, 0.5, 1.0, 2.9, 3.1, 20.0])
films = st.lists(st.tuples(pauses_s, one_frame), max_size=60)
settings = st.builds(
    IntrusionRule,
    rule_id=st.just("r"),
    zone=st.just(ZONE),
    dwell_s=st.sampled_from([0.0, 0.3, 1.0, 5.0]),
    clear_s=st.sampled_from([0.5, 3.0, 10.0]),
)


def counts(track):
    return track.label == "person" and contains(ZONE, track.foot)


def play(rule_settings, film):
    """Yield for each frame: its time, its tracks, and the changes the rule told."""
    rule, at_s = Intrusion(rule_settings), 50.0
    for pause_s, seen in film:
        at_s += pause_s
        yield at_s, seen, rule.update(seen, at_s)


@given(settings, films)
def test_began_and_ended_strictly_alternate_and_continues_lies_between(rule_settings, film):
    active = False
    for _, _, changes in play(rule_settings, film):
        for change in changes:
            assert active == (change.state is not HitState.BEGAN)
            active = change.state is not HitState.ENDED


@given(settings, films)
def test_it_never_begins_or_continues_without_somebody_seen_in_the_zone(rule_settings, film):
    for _, seen, changes in play(rule_settings, film):
        for change in changes:
            if change.state is not HitState.ENDED:
                assert change.objects
                assert all(one in seen and counts(one) for one in change.objects)


@given(settings, films)
def test_it_never_begins_before_somebody_was_in_the_zone_for_the_dwell_time(rule_settings, film):
    first_s = None
    for at_s, seen, changes in play(rule_settings, film):
        if first_s is None and any(counts(one) for one in seen):
            first_s = at_s
        if any(change.state is HitState.BEGAN for change in changes):
            assert at_s - first_s >= rule_settings.dwell_s


@given(settings, films)
def test_with_nobody_left_it_has_ended_after_the_clear_time(rule_settings, film):
    silence = [(0.5, [])] * 22
    *_, _last = last = list(play(rule_settings, film + silence))
    states = [change.state for _, _, changes in last for change in changes]
    assert not states or states[-1] is HitState.ENDED


@given(settings, st.floats(0.1, 0.9), st.integers(30, 60))
def test_somebody_standing_still_begins_exactly_once(rule_settings, step_s, frame_count):
    still = TrackedObject(1, "person", 0.9, Region(x=0.48, y=0.4, width=0.04, height=0.1))
    film = [(step_s, [still])] * frame_count
    told = [change for _, _, changes in play(rule_settings, film) for change in changes]
    expected = step_s * (frame_count - 1) >= rule_settings.dwell_s + step_s
    if rule_settings.clear_s > step_s and expected:
        assert [change.state for change in told].count(HitState.BEGAN) == 1
        assert HitState.ENDED not in [change.state for change in told]


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 3), st.booleans())
def test_where_a_polygon_is_begun_and_which_way_it_goes_does_not_matter(x, y, turn, backwards):
    zone = ZONE[turn:] + ZONE[:turn]
    expected = 0.25 < x < 0.75 and 0.25 < y < 0.75
    on_edge = x in (0.25, 0.75) or y in (0.25, 0.75)
    assert on_edge or contains(zone[::-1] if backwards else zone, (x, y)) is expected
