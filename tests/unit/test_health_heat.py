"""Heat takes from detection in steps, in order, and gives back later than it took."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.health.heat import BANDS, COOLER_BY_C, HeatJudge
from hardware.interface import Temperature
from hardware.pick import pick_board
from tests.unit.trees.plant import plant


def reading(celsius, critical_c=100.0):
    return (Temperature("cpu", celsius, critical_c, slows_c=critical_c),)


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
    both = (Temperature("cpu", 60.0, 90.0), Temperature("disk", 62.0, 70.0))
    assert judge.judge(both).name == "hot"


@pytest.mark.parametrize("celsius", [74.9, 75.1])
def test_without_a_critical_point_a_careful_one_is_assumed(celsius):
    expected = "warm" if celsius > 75 else "normal"
    assert HeatJudge().judge(reading(celsius, None)).name == expected


@pytest.mark.parametrize("tree", ["raspberry_pi_4_hot", "raspberry_pi_5", "raspberry_pi_cm4"])
def test_a_pi_sheds_before_its_firmware_slows_it_whatever_its_critical_point(tmp_path, tree):
    root = plant(tree, tmp_path)
    seen = []
    for celsius in (74, 76, 82, 85, 87):
        (root / "sys/class/thermal/thermal_zone0/temp").write_text(f"{celsius}000\n")
        seen.append(HeatJudge().judge(pick_board(root).thermometers.read()).name)
    assert seen == ["normal", "warm", "hot", "very-hot", "critical"]


def test_a_jetson_may_be_hotter(tmp_path):
    root = plant("jetson_orin", tmp_path)
    (root / "sys/class/thermal/thermal_zone0/temp").write_text("81000\n")
    assert HeatJudge().judge(pick_board(root).thermometers.read()).name == "normal"


@pytest.mark.parametrize("told", [-273.0, 0.0, 1000.0])
def test_a_critical_point_that_can_not_be_is_not_believed(told):
    assert HeatJudge().judge((Temperature("cpu", 50.0, told),)).name == "normal"
    assert HeatJudge().judge((Temperature("cpu", 87.0, told),)).name == "critical"


@given(st.lists(st.floats(-40, 140, allow_nan=False), min_size=1, max_size=60))
def test_detection_is_never_given_back_before_it_is_cooler(temperatures):
    judge = HeatJudge()
    before = judge.band
    for celsius in temperatures:
        band = judge.judge(reading(celsius))
        margin_c = 100.0 - celsius
        assert margin_c > band.below_limit_c or BANDS.index(band) >= max(
            i for i, b in enumerate(BANDS) if margin_c <= b.below_limit_c
        )
        if BANDS.index(band) < BANDS.index(before):
            assert margin_c > before.below_limit_c + COOLER_BY_C
        before = band
