"""Connections cut off within seconds, time after time, mean a twin with the same id."""

from agent.uplink.takeover import CALM_S, TIMES, Takeovers


def test_a_twin_is_suspected_after_some_cuts_in_a_row():
    found = Takeovers()
    for _ in range(TIMES):
        assert not found.suspected
        found.ended(2.0, by_peer=True)
    assert found.suspected
    found.ended(200.0, by_peer=True)
    assert found.suspected
    found.ended(CALM_S, by_peer=True)
    assert not found.suspected


def test_a_broker_that_is_away_in_between_explains_the_cuts():
    found = Takeovers()
    for _ in range(10):
        found.ended(2.0, by_peer=True)
        found.not_reached()
    assert not found.suspected


def test_our_own_giving_up_is_no_cut():
    found = Takeovers()
    for _ in range(10):
        found.ended(2.0, by_peer=False)
    assert not found.suspected
