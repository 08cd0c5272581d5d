"""Heat takes from detection in steps, in order, and gives back later than it took."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.health.heat import BANDS, COOLER_BY_C, HeatJudge
from hardware.interface import Temperature


def reading(celsius, critical_c=100.0):
    return (Temperature("cpu", celsius, critical_c),)


def test_a_ramp_goes_through_every_band_and_back_with_hysteresis():
    judge = HeatJudge()
    up = [judge.judge(reading(celsius)).name for celsius in range(60, 101)]
    assert list(dict.fromkeys(up)) == [band.name for band in BANDS]
    down = {celsius: judge.judge(reading(celsius)).name for celsius in range(100, 59, -1)}
    assert list(dict.fromkeys(down.values())) == [band.name for band in reversed(BANDS)]
    for number, celsius in enumerate(range(60, 101)):
        assert up[number] == "normal" or down[celsius] != "normal"  # colder on the way back


def test_a_sensor_that_falls_silent_keeps_the_band():
    judge = HeatJudge()
    assert judge.judge(reading(91.0)).name == "hot"
    assert judge.judge(()).name == "hot"
    assert judge.judge(reading(None)).name == "hot"
    assert judge.judge(reading(20.0)).name == "normal"


def test_the_sensor_nearest_to_its_limit_decides():
    judge = HeatJudge()
    both = (Temperature("cpu", 60.0, 100.0), Temperature("disk", 62.0, 70.0))
    assert judge.judge(both).name == "hot"


@pytest.mark.parametrize("celsius", [74.9, 75.1])
def test_without_a_critical_point_a_careful_one_is_assumed(celsius):
    expected = "warm" if celsius > 75 else "normal"
    assert HeatJudge().judge(reading(celsius, None)).name == expected


@given(st.lists(st.floats(-40, 140, allow_nan=False), min_size=1, max_size=60))
def test_detection_is_never_given_back_before_it_is_cooler(temperatures):
    judge = HeatJudge()
    before = judge.band
    for celsius in temperatures:
        band = judge.judge(reading(celsius))
        margin_c = 100.0 - celsius
        assert margin_c > band.below_critical_c or BANDS.index(band) >= max(
            i for i, b in enumerate(BANDS) if margin_c <= b.below_critical_c
        )
        if BANDS.index(band) < BANDS.index(before):
            assert margin_c > before.below_critical_c + COOLER_BY_C
        before = band
