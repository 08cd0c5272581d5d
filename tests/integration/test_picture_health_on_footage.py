"""On real recordings: what was done to the picture is told in time, and a good picture never is.

Clips are looped in simulated time. In the tampered ones the fault begins at 20 s.
"""

import os
from pathlib import Path

import av
import pytest

from agent.detect.motion import luma_of
from agent.detect.picture_health import LOOK_EVERY_S
from agent.detect.picture_health_features import WIDTH_PX
from agent.messages.picture import PictureKind
from tests.picture_faults import FAULTS, LEARNED_S, WITHIN_S, Watched

FAULT_BEGINS_S = 20.0
GOOD = (
    "walk_a_576p10_h264",
    "walk_a_sub_480p10_h264",
    "night_576p10_h264",
    "counter_a_720p10_h264",
    "cars_a_720p12_h264",
    "abandoned_576p10_h264",
)
TAMPERED = {
    "tamper_cover_576p10_h264": PictureKind.COVERED,
    "tamper_defocus_576p10_h264": PictureKind.DEFOCUSED,
    "tamper_shift_576p10_h264": PictureKind.MOVED,
}

pytestmark = [
    pytest.mark.footage,
    pytest.mark.skipif(
        "POLESIDE_FOOTAGE" not in os.environ, reason="POLESIDE_FOOTAGE names no footage folder"
    ),
]


def looks_of(name, begin_s=0.0, end_s=1e9):
    """Return the luma of a clip's frames, as often as the worker looks."""
    named = Path(os.environ["POLESIDE_FOOTAGE"])
    folder = named / "dev" if (named / "dev").is_dir() else named
    looks, due_s = [], begin_s
    with av.open(str(folder / f"{name}.mp4")) as container:
        for frame in container.decode(video=0):
            if due_s <= frame.time < end_s:
                looks.append(luma_of(frame, WIDTH_PX))
                due_s += LOOK_EVERY_S
    return looks


@pytest.mark.parametrize("name", GOOD)
def test_a_good_camera_has_no_fault_in_an_hour(name):
    camera = Watched()
    assert camera.show(looks_of(name), 3600) == []
    assert not camera.health.is_learning


@pytest.mark.parametrize("name", TAMPERED)
def test_tampering_is_told_in_time_and_not_before(name):
    camera = Watched()
    good = looks_of(name, 0.0, FAULT_BEGINS_S - 0.5)
    assert camera.show(good, 600) == []
    assert camera.show(looks_of(name, FAULT_BEGINS_S + 0.5), WITHIN_S) == [TAMPERED[name]]
    assert camera.show(good, 120) == []
    assert camera.ended == [TAMPERED[name]]


@pytest.mark.parametrize(
    "name", ["walk_a_sub_480p10_h264", "night_576p10_h264", "cars_a_720p12_h264"]
)
def test_every_fault_of_a_real_picture_is_told_in_time_by_its_own_name(name):
    looks, called = looks_of(name), {}
    usual = Watched()
    usual.show(looks, LEARNED_S)
    for fault, (_, spoil) in FAULTS.items():
        camera = Watched(dict(usual.health.baselines))
        called[fault] = camera.show([spoil(look) for look in looks], WITHIN_S)
    assert called == {fault: [kind] for fault, (kind, _) in FAULTS.items()}


def test_dusk_to_the_darkened_street_and_back_is_no_fault():
    camera = Watched()
    day, night = looks_of("walk_a_576p10_h264"), looks_of("night_576p10_h264")
    for looks in (day, night, day, night):
        assert camera.show(looks, 900) == []
