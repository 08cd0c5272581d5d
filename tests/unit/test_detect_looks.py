"""Colours tell people of one camera apart by day and by night, and know them again when lost."""

import numpy as np
import pytest

from agent.contract.events import Region
from agent.detect.letterbox import Letterboxed
from agent.detect.looks import SIZE, looks_of
from agent.detect.recognition import recognised
from agent.messages.vision import Detection

RED, BLUE, GREY = (180, 30, 30), (30, 30, 170), (90, 90, 90)
AT = Region(0.3, 0.2, 0.1, 0.5)


def dressed(upper, lower, *, light=1.0, region=AT):
    """Return the looks of somebody in front of a bright wall."""
    random = np.random.default_rng(4)
    image = np.full((256, 416, 3), 210.0)
    left, right = int(region.x * 416), int((region.x + region.width) * 416)
    top, bottom = int(region.y * 256), int((region.y + region.height) * 256)
    middle = (top + bottom) // 2
    image[top:middle, left:right], image[middle:bottom, left:right] = upper, lower
    image = (image * light + random.normal(0, 2, image.shape)).clip(0, 255).astype(np.uint8)
    [looks] = looks_of(Letterboxed(image, 416, 256), [Detection("person", 0.9, region)])
    return looks


def apart(one, other):
    return float(np.square(one - other).sum())


def test_each_half_is_a_share_of_one():
    looks = dressed(RED, BLUE)
    assert looks.shape == (SIZE,)
    assert [(half**2).sum() for half in np.split(looks, 2)] == pytest.approx([1, 1], abs=1e-3)


@pytest.mark.parametrize("light", [1.0, 0.3])
def test_other_clothes_differ_and_the_same_do_not_in_whatever_light(light):
    own = dressed(RED, GREY)
    again = dressed(RED, GREY, light=light, region=Region(0.6, 0.3, 0.05, 0.3))
    for other in (dressed(BLUE, GREY, light=light), dressed(GREY, RED, light=light)):
        assert apart(own, again) < apart(own, other) / 3


def test_nobody_has_no_looks_and_a_sliver_at_the_edge_has_some():
    picture = Letterboxed(np.zeros((256, 416, 3), np.uint8), 416, 234)
    assert looks_of(picture, []).shape == (0, SIZE)
    sliver = Detection("person", 0.5, Region(1.0, 1.0, 0.0, 0.0))
    assert np.isfinite(looks_of(picture, [sliver])).all()


PLACES = np.array([[0.5, 0.5, 0.05, 0.2], [0.8, 0.5, 0.05, 0.2]])


def test_the_lost_one_of_these_clothes_is_known_again_nearby():
    lost = np.stack([dressed(RED, GREY), dressed(BLUE, GREY)])
    new = dressed(BLUE, GREY)[None]
    assert recognised(PLACES[:1], new, PLACES[[0, 0]], lost, np.ones(2)) == [(0, 1)]


@pytest.mark.parametrize(
    ("place", "clothes"),
    [
        pytest.param([0.1, 0.5, 0.05, 0.2], BLUE, id="too far away"),
        pytest.param([0.5, 0.5, 0.15, 0.6], BLUE, id="of another size"),
        pytest.param([0.5, 0.5, 0.05, 0.2], RED, id="in other clothes"),
    ],
)
def test_nobody_is_taken_for_one_who_cannot_be_it(place, clothes):
    lost, new = dressed(BLUE, GREY)[None], dressed(clothes, GREY)[None]
    assert recognised(np.array([place]), new, PLACES[:1], lost, np.ones(1)) == []


def test_of_nobody_nobody_is_known_again():
    nothing = np.zeros((0, SIZE))
    assert recognised(np.zeros((0, 4)), nothing, np.zeros((0, 4)), nothing, np.zeros(0)) == []
