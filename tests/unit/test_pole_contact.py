"""A press is told once, at its own time; a bouncing, stuck or cut contact is told as what it is."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.messages.pole import ContactState
from agent.pole.contact import CHATTER_EDGES, Contact

DEBOUNCE_S = 0.03


def contact(**kwargs):
    made = Contact(DEBOUNCE_S, kwargs.pop("stuck_after_s", 60.0), mono_s=0.0, **kwargs)
    changes = settle(made, 1.0)
    return made, changes


def settle(made, until_s):
    """Judge whenever something is due, as its reader does."""
    changes = []
    while (due_s := made.due_s()) is not None and due_s <= until_s:
        if (change := made.judge(due_s)) is None:
            break
        changes.append((change.state, round(change.mono_s, 3)))
    return changes


def test_a_press_that_bounces_is_one_press_dated_by_its_first_edge():
    made, first = contact(is_active=False)
    assert first == [(ContactState.IDLE, 0.0)]
    for number, at_s in enumerate([2.0, 2.002, 2.005, 2.009, 2.011]):
        made.edge(is_active=number % 2 == 0, mono_s=at_s)
        assert made.judge(at_s) is None
    assert made.due_s() == pytest.approx(2.011 + DEBOUNCE_S)
    assert settle(made, 3.0) == [(ContactState.ACTIVE, 2.0)]
    made.edge(is_active=False, mono_s=4.0)
    assert settle(made, 5.0) == [(ContactState.IDLE, 4.0)]


def test_a_glitch_shorter_than_the_debounce_is_nothing():
    made, _ = contact(is_active=False)
    made.edge(is_active=True, mono_s=2.0)
    made.edge(is_active=False, mono_s=2.01)
    assert settle(made, 10.0) == []


def test_a_button_that_hangs_is_stuck_after_its_time_and_well_when_let_go():
    made, _ = contact(is_active=False)
    made.edge(is_active=True, mono_s=10.0)
    assert settle(made, 69.9) == [(ContactState.ACTIVE, 10.0)]
    assert settle(made, 100.0) == [(ContactState.STUCK, 70.0)]
    assert made.due_s() is None
    made.edge(is_active=False, mono_s=200.0)
    assert settle(made, 300.0) == [(ContactState.IDLE, 200.0)]


def test_a_door_may_stay_open_for_ever():
    made, _ = contact(is_active=False, stuck_after_s=None)
    made.edge(is_active=True, mono_s=2.0)
    assert settle(made, 1e6) == [(ContactState.ACTIVE, 2.0)]


@pytest.mark.parametrize("level", [True, False], ids=["shorted", "cut"])
def test_two_wires_that_agree_are_a_broken_wire_not_a_press(level):
    made, first = contact(is_active=False, is_closed=True)
    assert first == [(ContactState.IDLE, 0.0)]
    if level:
        made.edge(is_active=True, mono_s=5.0)
    else:
        made.closed_edge(is_active=False, mono_s=5.0)
    assert settle(made, 9.0) == [(ContactState.BROKEN, 5.0)]


def test_a_changeover_contact_may_travel_for_a_moment():
    made, _ = contact(is_active=False, is_closed=True)
    made.closed_edge(is_active=False, mono_s=5.0)
    assert settle(made, 5.1) == []
    made.edge(is_active=True, mono_s=5.1)
    assert settle(made, 9.0) == [(ContactState.ACTIVE, 5.1)]


def test_a_contact_already_active_at_the_start_is_told():
    _, first = contact(is_active=True)
    assert first == [(ContactState.ACTIVE, 0.0)]


def test_a_storm_of_edges_is_chatter_and_a_press_that_outlasts_it_is_told():
    made, _ = contact(is_active=False)
    for number in range(CHATTER_EDGES):
        made.edge(is_active=number % 2 == 0, mono_s=2.0 + number * 0.01)
    change = made.judge(2.6)
    assert change is not None
    assert change.state is ContactState.CHATTERING
    made.edge(is_active=True, mono_s=2.61)
    assert settle(made, 4.0) == []
    assert settle(made, 5.0) == [(ContactState.ACTIVE, 2.61)]


@given(
    st.lists(st.tuples(st.floats(0.0, 3.0, allow_nan=False), st.booleans()), max_size=80),
    st.booleans(),
)
def test_whatever_the_edges_the_last_level_wins_and_presses_alternate(steps, begins):
    made = Contact(DEBOUNCE_S, None, is_active=begins, mono_s=0.0)
    now_s, level, told = 0.0, begins, []
    for gap_s, level in steps:
        told += settle(made, now_s + gap_s)
        now_s += gap_s
        made.edge(is_active=level, mono_s=now_s)
        if (change := made.judge(now_s)) is not None:
            told.append((change.state, change.mono_s))
    told += settle(made, now_s + 60.0)
    states = [state for state, _ in told]
    assert states[-1] is (ContactState.ACTIVE if level else ContactState.IDLE)
    assert all(one is not other for one, other in itertools.pairwise(states))
    times = [at_s for _, at_s in told]
    assert times == sorted(times)
