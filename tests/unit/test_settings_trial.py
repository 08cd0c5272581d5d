"""A change is kept only if what worked before it goes on working."""

from agent.settings.trial import LOST_S, Trial, Verdict

ALL = frozenset({"link", "camera/gate"})


def verdicts(worked, story):
    """Return the verdicts of a trial begun at 0 by a story of (time, what works)."""
    trial = Trial(worked, 0.0)
    return [trial.look(works, at_s) for at_s, works in story]


def test_a_change_is_kept_after_five_good_minutes():
    story = [(5.0, ALL), (LOST_S - 1, ALL), (LOST_S, ALL)]
    assert verdicts(ALL, story) == [Verdict.WATCHING, Verdict.WATCHING, Verdict.KEPT]


def test_five_minutes_without_what_worked_end_it():
    story = [(5.0, frozenset({"link"})), (5.0 + LOST_S, frozenset({"link"}))]
    assert verdicts(ALL, story) == [Verdict.WATCHING, Verdict.LOST]


def test_what_comes_back_in_time_is_forgiven_but_watched_on():
    none = frozenset()
    story = [(5.0, none), (290.0, ALL), (299.0, none), (400.0, none), (450.0, ALL)]
    assert verdicts(ALL, story) == [Verdict.WATCHING] * 4 + [Verdict.KEPT]


def test_what_did_not_work_before_is_not_asked_for():
    assert verdicts(frozenset(), [(LOST_S, frozenset())]) == [Verdict.KEPT]
