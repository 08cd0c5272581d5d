"""The gate opens for what moves and stays shut for noise, clouds, rain and what came to stay."""

import av
import numpy as np
import pytest

from agent.detect.motion import MotionGate, luma_of

RANDOM = np.random.default_rng(7)
SCENE = RANDOM.integers(40, 200, (23, 40)).repeat(4, axis=0).repeat(4, axis=1)[:90].astype(int)


def seen(brightness=0, gain=1.0, noise=2.0, thing=None):
    picture = SCENE * gain + brightness + RANDOM.normal(0, noise, SCENE.shape)
    if thing is not None:
        x, y = thing
        picture[y : y + 20, x : x + 10] += np.where(SCENE[y : y + 20, x : x + 10] > 120, -60, 60)
    return picture.clip(0, 255).astype(np.uint8)


@pytest.fixture
def gate():
    gate = MotionGate()
    gate.update(seen())
    return gate


def test_the_first_frame_is_worth_a_look():
    assert MotionGate().update(seen()).active


def test_a_still_noisy_scene_is_not_active(gate):
    assert not any(gate.update(seen()).active for _ in range(20))


def test_something_walking_in_is_active_in_every_frame(gate):
    results = [gate.update(seen(thing=(10 + 6 * n, 40))) for n in range(20)]
    assert all(result.active for result in results)
    assert all(0 < result.share < 0.2 for result in results)


@pytest.mark.parametrize("change", [-25, 25])
def test_a_cloud_is_no_motion(gate, change):
    assert not any(gate.update(seen(brightness=change)).active for _ in range(5))


def test_a_passing_thing_is_seen_under_changing_light(gate):
    gate.update(seen(brightness=15, thing=(44, 40)))
    assert gate.update(seen(brightness=30, thing=(50, 40))).active


def drops(picture, count=12):
    x, y = RANDOM.integers(0, 159, count), RANDOM.integers(0, 80, count)
    for step in range(6):
        picture[y + step, x] = np.minimum(picture[y + step, x].astype(int) + 60, 255)
    return picture


def test_drops_that_fall_everywhere_are_no_motion_and_somebody_among_them_is(gate):
    in_rain = [gate.update(drops(seen())).active for _ in range(60)]
    assert sum(in_rain) <= 6
    walking = [gate.update(drops(seen(thing=(10 + 6 * n, 40)))).active for n in range(20)]
    assert all(walking[1:])


def test_what_has_come_to_stay_becomes_background(gate):
    results = [gate.update(seen(thing=(50, 40))) for _ in range(100)]
    assert results[0].active
    assert not results[-1].active


def test_a_turned_camera_is_one_active_frame_then_a_new_background(gate):
    turned = np.ascontiguousarray(seen()[::-1, ::-1])
    assert gate.update(turned).active
    assert not gate.update(turned).active


def test_another_picture_size_starts_afresh(gate):
    assert gate.update(seen()[:50]).active
    assert not gate.update(seen()[:50]).active


def test_luma_is_taken_thinly_from_the_y_plane_whatever_its_stride():
    grey = np.tile(np.linspace(16, 235, 642).astype(np.uint8), (362, 1))
    frame = av.VideoFrame.from_ndarray(np.dstack([grey] * 3), format="rgb24")
    luma = luma_of(frame.reformat(format="yuv420p"))
    assert luma.shape == (91, 161)
    assert luma.flags.c_contiguous
    assert (np.diff(luma[0].astype(int)) >= 0).all()
    assert luma[0, -1] > luma[0, 0] + 150


@pytest.mark.parametrize("width_px", [160, 240, 320, 640])
@pytest.mark.parametrize("size_px", [(640, 360), (642, 358), (1278, 720)])
def test_every_nth_pixel_is_taken_whatever_the_width(size_px, width_px):
    width, height = size_px
    noise = np.random.default_rng(7).integers(0, 256, (height * 3 // 2, width), np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, format="yuv420p")
    step = max(1, round(width / width_px))
    assert np.array_equal(luma_of(frame, width_px), noise[:height:step, ::step])
