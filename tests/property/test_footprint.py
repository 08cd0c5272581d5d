"""Which camera sees a place is geometry: nothing behind its back, and the best one first."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.pointing.course import neighbours
from agent.pointing.footprint import DETECT_PX_M, OBSERVE_PX_M, View, candidates
from agent.pointing.geodesy import Place, distance_m, moved

POLE = Place(37.5665, 126.9780, 45.0)


def view(camera_id="cam", azimuth_deg=0.0, **changes):
    return View(camera_id, POLE, azimuth_deg, 60.0, 1920, **changes)


def at(bearing_deg, range_m):
    angle = math.radians(bearing_deg)
    return moved(POLE, range_m * math.sin(angle), range_m * math.cos(angle), 40.0)


def test_a_fixed_camera_sees_what_is_before_it_and_nothing_behind():
    assert [c.camera_id for c in candidates([view()], at(10, 20))] == ["cam"]
    assert candidates([view()], at(190, 20)) == []
    assert candidates([view()], at(35, 20)) == []
    assert candidates([view()], at(35, 20), radius_m=5) != []


def test_a_place_too_far_for_enough_pixels_is_not_seen():
    reach_m = view().range_m(DETECT_PX_M)
    assert candidates([view()], at(0, reach_m * 0.95)) != []
    assert candidates([view()], at(0, reach_m * 1.05)) == []


def test_free_comes_before_busy_ready_before_turning_near_before_far():
    views = [
        view("busy", is_busy=True),
        view("behind", 180, has_ptz=True, tele_deg=3.0),
        view("wide"),
        View("far", moved(POLE, 0, -20, 45.0), 0.0, 60.0, 1920),
    ]
    found = candidates(views, at(0, 20))
    assert [c.camera_id for c in found] == ["wide", "far", "behind", "busy"]
    behind = found[2]
    assert behind.aim_s == pytest.approx(3.0, abs=0.1)


@given(st.floats(0, 360), st.floats(6, 25), st.floats(0, 360))
def test_the_ground_polygon_and_the_answer_agree(azimuth_deg, range_m, bearing_deg):
    camera = view(azimuth_deg=azimuth_deg)
    foot, *arc = camera.ground_polygon(OBSERVE_PX_M)
    reach_m = max(distance_m(place, foot) for place in arc)
    off_deg = abs((bearing_deg - azimuth_deg + 180) % 360 - 180)
    if abs(off_deg - 30) < 0.5 or abs(range_m - reach_m) < 0.2:
        return  # on the edge
    is_inside = off_deg < 30 and range_m < reach_m
    found = candidates([camera], at(bearing_deg, range_m), least_px_m=OBSERVE_PX_M)
    assert bool(found) is is_inside


def test_who_comes_next_looks_where_somebody_comes_into_its_reach():
    yard = View("yard", moved(POLE, 0, 60, 45.0), 180.0, 60.0, 1920, has_ptz=True, most_m=20.0)
    gate = view("gate", nexts=("yard", "gone"))
    place = at(0, 20)
    found = neighbours([gate, yard], place, 0.0)
    assert set(found) == {"yard"}
    assert distance_m(found["yard"], yard.place) == pytest.approx(20.0, abs=0.1)
    assert distance_m(found["yard"], place) == pytest.approx(20.0, abs=0.1)
    assert neighbours([gate, yard], at(180, 20), 0.0) == {}
    assert neighbours([gate, yard], at(0, 45), 0.0) == {}
