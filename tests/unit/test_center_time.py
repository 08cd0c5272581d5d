"""The box knows how far its clock is from the center's, and says so when that is much."""

from agent.commands.center_time import CenterTime
from agent.health.checks import center_clock_faults
from tests.fake_clock import FakeClock


def test_the_freshest_order_tells_how_far_the_clock_is_off():
    clock = FakeClock()
    center, now_s = CenterTime(clock), clock.utc_now().timestamp()
    assert center.ahead_s is None
    center.heard(now_s - 25)  # it waited at the broker
    assert center.ahead_s is None  # one may have come late
    center.heard(now_s - 1)
    assert center.ahead_s == 1.0
    center.heard(now_s + 120)
    assert center.ahead_s == -120.0
    clock.pass_s(2 * 86_400)
    assert center.ahead_s is None


def test_a_clock_far_from_the_centers_is_a_fault_that_names_the_side():
    assert list(center_clock_faults(None)) == []
    assert list(center_clock_faults(30.0)) == []
    (behind,) = center_clock_faults(-3600.0)
    assert behind.code == "clock.not_the_centers"
    assert "behind" in behind.sentence_en
