"""A thin line gets as much as it carries: down at once, up with patience, never over the limit."""

from hypothesis import given
from hypothesis import strategies as st

from agent.push.ladder import FIRST_UP_S, LONGEST_UP_S, Ladder, Rung

RATES = {Rung.JPEG: 0.0, Rung.KEYS: 60.0, Rung.SUB: 250.0, Rung.MAIN: 1200.0}


def test_it_falls_a_rung_a_stall_and_no_further_than_a_picture_a_second():
    ladder = Ladder(0.0)
    seen = [ladder.rung(RATES)]
    for second in range(5):
        ladder.stalled(float(second))
        seen.append(ladder.rung(RATES))
    assert seen == [Rung.MAIN, Rung.SUB, Rung.KEYS, Rung.JPEG, Rung.JPEG, Rung.JPEG]


def test_it_climbs_after_a_while_that_went_well_and_waits_longer_when_that_did_not_hold():
    ladder = Ladder(0.0)
    ladder.stalled(0.0)
    assert not ladder.climbs(FIRST_UP_S - 0.1, RATES)
    ladder.lagged(3.0)
    assert not ladder.climbs(3.0 + FIRST_UP_S - 0.1, RATES)
    assert ladder.climbs(3.0 + FIRST_UP_S, RATES)
    assert ladder.rung(RATES) is Rung.MAIN
    ladder.stalled(8.0)
    assert not ladder.climbs(8.0 + FIRST_UP_S, RATES)
    assert ladder.climbs(8.0 + 2 * FIRST_UP_S, RATES)


def test_what_is_not_there_is_not_chosen_nor_what_the_way_can_not_carry():
    assert Ladder(0.0).rung({Rung.JPEG: 0.0, Rung.SUB: 250.0}) is Rung.SUB
    assert Ladder(0.0, 50, lowest=Rung.KEYS).rung(RATES) is Rung.KEYS


@given(st.lists(st.floats(0.1, 30.0), max_size=40))
def test_the_wait_has_a_bound(steps):
    ladder, now_s = Ladder(0.0), 0.0
    for step_s in steps:
        now_s += step_s
        if ladder.climbs(now_s, RATES):
            ladder.stalled(now_s + 0.1)
    now_s += LONGEST_UP_S + 1
    ladder.stalled(now_s)
    assert ladder.climbs(now_s + LONGEST_UP_S, RATES)


@given(st.integers(1, 5000))
def test_what_is_known_to_be_over_the_limit_is_never_chosen(limit_kbps):
    ladder = Ladder(0.0, limit_kbps)
    for second in range(0, 300, 10):
        assert RATES[ladder.rung(RATES)] <= limit_kbps
        ladder.climbs(float(second), RATES)
