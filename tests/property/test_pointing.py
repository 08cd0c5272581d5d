"""A calibrated camera looks where it is told, as two independent libraries say as well."""

import math
import random

import numpy as np
import pymap3d
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from agent.core.errors import CommandError
from agent.pointing.aim import Landmark, Reach, Sector, calibrate
from agent.pointing.geodesy import Place, bearing_deg, distance_m, enu_m, moved
from agent.pointing.mount import Sighting, fit

EYE = Place(37.5665, 126.9780, 46.0)
GROUND_M = 40.0
DEGREES = Reach((-1e9, 1e9), (-1e9, 1e9))

places = st.builds(
    Place,
    st.floats(-80, 80),
    st.floats(-179, 179),
    st.floats(-50, 3000),
)


@given(places, st.floats(-4000, 4000), st.floats(-4000, 4000), st.floats(-100, 100))
def test_metres_east_north_up_agree_with_pymap3d(origin, east_m, north_m, up_m):
    lat, lon, height_m = pymap3d.enu2geodetic(
        east_m, north_m, up_m, origin.lat_deg, origin.lon_deg, origin.height_m
    )
    assert enu_m(Place(lat, lon, height_m), origin) == pytest.approx(
        (east_m, north_m, up_m), abs=1e-3
    )


@given(places, st.floats(-2000, 2000), st.floats(-2000, 2000))
def test_a_place_so_many_metres_away_is_so_many_metres_away(origin, east_m, north_m):
    place = moved(origin, east_m, north_m, origin.height_m)
    assert distance_m(place, origin) == pytest.approx(math.hypot(east_m, north_m), abs=1.5)
    if math.hypot(east_m, north_m) > 50:
        expected = math.degrees(math.atan2(east_m, north_m)) % 360
        turn = (bearing_deg(place, origin) - expected + 180) % 360 - 180
        assert abs(turn) < 0.3


class Camera:
    """A true camera on a leaning pole, by scipy: what it reports when it looks somewhere."""

    def __init__(self, dice, *, lean_sigma_deg=2.0, scale=(1.0, 1.0, 0.0)):
        lean = dice.gauss(0, lean_sigma_deg), dice.gauss(0, lean_sigma_deg)
        self.yaw_deg, self.scale = dice.uniform(-180, 180), scale
        self.world_of_mount = Rotation.from_euler("xy", lean, degrees=True)

    def reports(self, toward):
        x, y, z = self.world_of_mount.inv().apply(np.array(toward) / np.linalg.norm(toward))
        pan_deg = (math.degrees(math.atan2(x, y)) - self.yaw_deg + 180) % 360 - 180
        tilt_deg = math.degrees(math.asin(z))
        pan_scale, tilt_scale, tilt_offset = self.scale
        return pan_deg / pan_scale, (tilt_deg - tilt_offset) / tilt_scale

    def looks(self, pan, tilt):
        pan_scale, tilt_scale, tilt_offset = self.scale
        azimuth = math.radians(pan * pan_scale + self.yaw_deg)
        height = math.radians(tilt * tilt_scale + tilt_offset)
        flat = math.cos(height)
        return self.world_of_mount.apply(
            [flat * math.sin(azimuth), flat * math.cos(azimuth), math.sin(height)]
        )


def around(dice, nearest_m=20, farthest_m=150):
    angle, range_m = dice.uniform(0, 2 * math.pi), dice.uniform(nearest_m, farthest_m)
    return moved(EYE, range_m * math.sin(angle), range_m * math.cos(angle), GROUND_M)


def landmarks(dice, camera, count, *, map_error_m=1.0, height_error_m=0.5, centring_deg=0.2):
    """Landmarks around the pole, as a technician with a map finds and centres them."""
    begin = dice.uniform(0, 360)
    found = []
    for number in range(count):
        angle = math.radians(begin + 360 * number / count + dice.uniform(-25, 25))
        range_m = dice.uniform(30, 120)
        true = moved(EYE, range_m * math.sin(angle), range_m * math.cos(angle), GROUND_M)
        pan, tilt = camera.reports(enu_m(true, EYE))
        told = moved(
            EYE,
            range_m * math.sin(angle) + dice.gauss(0, map_error_m / math.sqrt(2)),
            range_m * math.cos(angle) + dice.gauss(0, map_error_m / math.sqrt(2)),
            GROUND_M + dice.gauss(0, height_error_m),
        )
        pan += dice.gauss(0, centring_deg / math.sqrt(2)) / camera.scale[0]
        tilt += dice.gauss(0, centring_deg / math.sqrt(2)) / camera.scale[1]
        found.append(Landmark(told, pan, tilt))
    return found


def error_deg(camera, aim, place):
    toward = np.array(enu_m(place, EYE))
    toward /= np.linalg.norm(toward)
    return math.degrees(math.acos(min(1.0, float(camera.looks(aim.pan, aim.tilt) @ toward))))


def p95_deg(count, seed=7, cameras=30, targets=20, **how):
    dice = random.Random(seed)
    errors = []
    for _ in range(cameras):
        camera = Camera(dice, **how)
        pointing = calibrate(EYE, landmarks(dice, camera, count))
        for _ in range(targets):
            place = around(dice)
            errors.append(error_deg(camera, pointing.aim(place, 20.0, DEGREES), place))
    return sorted(errors)[int(0.95 * len(errors))]


def test_four_landmarks_on_a_leaning_pole_point_within_a_degree():
    assert p95_deg(4) <= 1.0
    assert p95_deg(6) <= p95_deg(3)


def test_a_camera_that_reports_minus_one_to_one_is_calibrated_too():
    for scale in ((180.0, 90.0, 0.0), (-175.0, -45.0, -45.0)):
        assert p95_deg(4, scale=scale) <= 1.0


def test_an_odd_scale_is_found_from_enough_landmarks():
    assert p95_deg(8, scale=(168.0, 52.0, -38.0), cameras=20) <= 1.5


def test_without_error_the_mount_is_the_one_scipy_finds():
    dice = random.Random(3)
    camera = Camera(dice)
    marks = landmarks(dice, camera, 5, map_error_m=0, height_error_m=0, centring_deg=0)
    sightings = [Sighting(m.pan, m.tilt, enu_m(m.place, EYE)) for m in marks]
    mount = fit(sightings)
    assert mount.residual_deg < 1e-3
    upright = [
        (
            math.cos(math.radians(s.tilt)) * math.sin(math.radians(s.pan)),
            math.cos(math.radians(s.tilt)) * math.cos(math.radians(s.pan)),
            math.sin(math.radians(s.tilt)),
        )
        for s in sightings
    ]
    units = [np.array(s.toward) / np.linalg.norm(s.toward) for s in sightings]
    theirs, _ = Rotation.align_vectors(units, upright)
    for s, mounted in zip(sightings, upright, strict=True):
        assert mount.toward(s.pan, s.tilt) == pytest.approx(tuple(theirs.apply(mounted)), abs=1e-5)


@given(st.integers(0, 10_000))
def test_where_a_position_looks_is_the_position_to_look_there(seed):
    dice = random.Random(seed)
    camera = Camera(dice)
    mount = fit([Sighting(m.pan, m.tilt, enu_m(m.place, EYE)) for m in landmarks(dice, camera, 4)])
    pan, tilt = dice.uniform(-170, 170), dice.uniform(-80, 20)
    assert mount.position(mount.toward(pan, tilt), near_pan=pan) == pytest.approx(
        (pan, tilt), abs=1e-6
    )


def test_an_upright_pole_is_not_bent_by_noise():
    assert p95_deg(4, lean_sigma_deg=0.0) <= p95_deg(4) + 0.05


# What can't be done is refused


def pointing():
    dice = random.Random(1)
    return calibrate(EYE, landmarks(dice, Camera(dice), 4))


def refused(place, reach):
    with pytest.raises(CommandError) as refusal:
        pointing().aim(place, 20.0, reach)
    return refusal.value.code


def test_out_of_reach_forbidden_and_too_near_are_refused_with_their_code():
    place = moved(EYE, 40, 40, GROUND_M)
    aim = pointing().aim(place, 20.0, DEGREES)
    assert refused(place, Reach((aim.pan + 1, aim.pan + 2), (-90, 90))) == "aim.out_of_reach"
    sector = Sector(aim.pan - 1, aim.pan + 1, -90, 90)
    assert refused(place, Reach((-400, 400), (-90, 90), forbidden=(sector,))) == "aim.forbidden"
    assert refused(EYE, DEGREES) == "aim.too_near"


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_landmarks_are_refused(count):
    dice = random.Random(1)
    with pytest.raises(CommandError, match="calibrated") as refusal:
        calibrate(EYE, landmarks(dice, Camera(dice), 4)[:count])
    assert refusal.value.code == "aim.calibration"


def test_landmarks_that_contradict_each_other_are_refused_and_the_worst_is_named():
    dice = random.Random(1)
    marks = landmarks(dice, Camera(dice), 5)
    marks[3] = Landmark(marks[3].place, marks[3].pan + 40, marks[3].tilt)
    with pytest.raises(CommandError, match=r"contradict .* number 4"):
        calibrate(EYE, marks)


def test_landmarks_in_one_direction_are_refused():
    dice = random.Random(1)
    one = landmarks(dice, Camera(dice), 1)[0]
    with pytest.raises(CommandError, match="too near to one another"):
        calibrate(EYE, [one, one, one])


def test_the_zoom_shows_the_area_and_stays_within_the_lens():
    reach = Reach((-400, 400), (-90, 90), wide_deg=60, tele_deg=3)
    place = moved(EYE, 60, 0, GROUND_M)
    near, wide, tele = (pointing().aim(place, area, reach) for area in (40.0, 500.0, 0.5))
    assert near.fov_deg == pytest.approx(math.degrees(2 * math.atan(20 / near.range_m)))
    assert 0.0 < near.zoom < 1.0
    assert (wide.zoom, wide.fov_deg) == (0.0, 60)
    assert (tele.zoom, tele.fov_deg) == (1.0, 3)
