"""A camera asks as often as it wishes and may, first of all when it wakes; the rest is shed."""

import pytest

from agent.app.look_rhythm import LookRhythm
from agent.app.looks_told import LooksTold


class Rule:
    def __init__(self, *, active=False, awake=True):
        self.is_active, self._awake = active, awake

    def is_awake(self, _at_s):
        return self._awake


def play(rhythm, seconds, *, every_s=0.0, begin_s=0.0, moving=True, found=True, share=0.1):
    """Frames at 10 a second; return when the detector was asked."""
    asked = []
    for n in range(round(seconds * 10)):
        at_s = begin_s + n / 10
        if moving:
            rhythm.moved(at_s, share)
        if rhythm.is_due(at_s, 5.0, knows_any=False):
            asked.append(at_s)
            rhythm.had(every_s, found=found)
    return asked


def test_with_a_free_detector_every_wish_is_had():
    rhythm = LookRhythm()
    asked = play(rhythm, 10, every_s=0.0)
    assert len(asked) == rhythm.wished_total == rhythm.had_total == 50
    assert rhythm.shed_share == 0


@pytest.mark.parametrize("fps", [12, 15, 25, 30])
def test_what_frames_come_too_late_is_made_up_for(fps):
    rhythm = LookRhythm()
    rhythm.moved(60.0, 0.1)
    asked = 0
    for n in range(2 * fps):
        if rhythm.is_due(60.0 + n / fps, 10.0, knows_any=False):
            asked += 1
            rhythm.had(0.0, found=True)
    assert asked == pytest.approx(20, abs=1)


def test_what_it_may_not_ask_is_shed_and_counted():
    rhythm = LookRhythm()
    asked = play(rhythm, 20, every_s=0.4)
    assert rhythm.wished_total == 100
    assert len(asked) == pytest.approx(50, abs=2)
    assert rhythm.shed_share == pytest.approx(0.5, abs=0.1)


def test_a_camera_that_wakes_is_looked_at_at_once_whatever_it_was_allowed_before():
    rhythm = LookRhythm()
    play(rhythm, 30, every_s=20.0, moving=False)
    assert play(rhythm, 1, every_s=0.0, begin_s=30.0)[0] == 30.0


def test_without_motion_it_wishes_for_little():
    rhythm = LookRhythm()
    assert len(play(rhythm, 60, every_s=0.0, moving=False)) == pytest.approx(6, abs=1)


def test_motion_in_which_nothing_is_found_is_looked_at_more_rarely_until_it_grows():
    rhythm = LookRhythm()
    play(rhythm, 10, found=False)
    assert len(play(rhythm, 10, found=False, begin_s=10.0)) == pytest.approx(10, abs=1)
    assert len(play(rhythm, 2, found=False, begin_s=20.0, share=0.2)) == pytest.approx(10, abs=1)


def test_who_is_found_in_it_is_looked_at_as_often_as_wished():
    rhythm = LookRhythm()
    play(rhythm, 20, found=False)
    assert len(play(rhythm, 10, found=True, begin_s=20.0)) >= 45


def test_what_was_in_vain_long_ago_says_nothing():
    rhythm = LookRhythm()
    play(rhythm, 20, found=False)
    assert len(play(rhythm, 1, found=False, begin_s=120.0)) == 5


def test_a_detector_that_never_answers_sheds_all():
    rhythm = LookRhythm()
    for n in range(1000):
        rhythm.moved_s = n / 10
        rhythm.is_due(n / 10, 5.0, knows_any=False)
    assert (rhythm.had_total, rhythm.shed_share) == (0, pytest.approx(1.0, abs=0.05))


def test_motion_somebody_known_an_armed_rule_and_one_that_holds_each_add_to_the_need():
    rhythm = LookRhythm()

    def need(rules=(), *, knows_any=False):
        return rhythm.wish(10.0, 5.0, rules, knows_any=knows_any).need

    asleep, armed = need([Rule(awake=False)]), need([Rule()])
    holding, known = need([Rule(active=True)]), need([Rule()], knows_any=True)
    assert asleep == need() < armed < known < holding
    rhythm.moved_s = 10.0
    assert need() > asleep


def test_a_camera_of_higher_priority_needs_the_detector_more():
    rhythm = LookRhythm()
    low, normal, high = (
        rhythm.wish(10.0, 5.0, (), knows_any=True, priority=told).need for told in (1, 5, 9)
    )
    assert low < normal < high
    assert normal == rhythm.wish(10.0, 5.0, (), knows_any=True).need


def test_telemetry_tells_the_share_since_the_last_sample_and_nothing_over_a_restart():
    first, later, anew = LooksTold(0, 100, 80), LooksTold(10, 150, 105), LooksTold(20, 5, 5)
    assert (later.fps_since(first), later.shed_share_since(first)) == (2.5, 0.5)
    assert (anew.fps_since(later), anew.shed_share_since(later)) == (None, None)
    assert (first.fps_since(None), first.shed_share_since(None)) == (None, None)
