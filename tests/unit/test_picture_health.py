"""What is wrong with the picture is told within five minutes by its own name; normal life is not.

Shown is the drawn street, where somebody walks by every twenty seconds.
"""

import numpy as np
import pytest

from agent.detect.picture_health import RELEARN_S
from agent.detect.picture_health_baseline import BASELINE_FILE, load, save
from agent.detect.picture_health_dirt import SPELL_S, SPELLS_TO_TELL
from agent.messages.picture import PictureKind
from tests.picture_faults import (
    FAULTS,
    LEARNED_S,
    WITHIN_S,
    Watched,
    darkened,
    dirty,
    drawn_looks,
    infrared,
    luma,
    noisy,
    shifted,
    webbed,
)

LOOKS = drawn_looks()
OTHER_VIEW = [luma(look[::-1, ::-1]) for look in LOOKS]
SMALL_LOOKS = drawn_looks(192, 108)  # for what takes days


@pytest.fixture
def watched():
    """Return a camera whose usual picture is known."""
    camera = Watched()
    assert camera.show(LOOKS, LEARNED_S) == []
    assert not camera.health.is_learning
    return camera


def test_half_an_hour_of_street_is_no_fault():
    assert Watched().show(LOOKS, 1800) == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_in_time_by_its_own_name_and_ends(watched, name):
    kind, spoil = FAULTS[name]
    spoilt = [spoil(look) for look in LOOKS[:40]]
    assert watched.show(spoilt, WITHIN_S) == [kind]
    assert watched.ended == []
    assert watched.show(LOOKS, 120) == []
    assert watched.ended == [kind]


def test_a_frozen_picture_is_told_and_ends(watched):
    assert watched.show(LOOKS[5:6], WITHIN_S) == [PictureKind.FROZEN]
    assert watched.show(LOOKS, 120) == []
    assert watched.ended == [PictureKind.FROZEN]


def test_a_scene_without_noise_that_often_stands_still_is_called_frozen_later():
    camera = Watched()
    still_for_50_s = [LOOKS[n // 25 % 40] for n in range(80)]
    assert camera.show(still_for_50_s, 1200) == []
    camera.show(LOOKS[5:6], WITHIN_S)
    ((kind, _, after_s),) = camera.told
    assert kind is PictureKind.FROZEN
    assert after_s > 120


@pytest.mark.parametrize("name", FAULTS)
def test_nothing_is_told_before_the_usual_picture_is_known(name):
    _, spoil = FAULTS[name]
    camera = Watched()
    assert camera.show([spoil(look) for look in LOOKS[:40]], 100) == []


def test_day_and_night_are_each_learned_and_their_change_is_no_fault(watched):
    night = [infrared(look) for look in LOOKS]
    for _ in range(2):
        assert watched.show(night, 400, is_grey=True) == []
        assert watched.show(LOOKS, 400) == []
    assert set(watched.health.baselines) == {"day", "night"}
    watched.show(night, 60, is_grey=True)
    covered = [FAULTS["paint"][1](look) for look in night[:40]]
    assert watched.show(covered, WITHIN_S, is_grey=True) == [PictureKind.COVERED]


def test_a_cover_that_makes_the_camera_switch_to_night_is_still_a_cover(watched):
    covered = [FAULTS["paint"][1](look) for look in LOOKS[:40]]
    watched.show([FAULTS["lid"][1](LOOKS[0])], 6)
    assert watched.show(covered, WITHIN_S, is_grey=True) == [PictureKind.COVERED]
    assert list(watched.health.baselines) == ["day"]


LIFE = {
    "clouds": lambda n: luma(16 + (LOOKS[n % 80] - 16.0) * (0.75 + 0.25 * np.sin(n / 15))),
    "dusk": lambda n: darkened(LOOKS[n % 80], max(0.12, 0.5 ** (n / 200))),
    "fog": lambda n: noisy(150 + (LOOKS[n % 80] - 150.0) * max(0.2, 1 - n / 400), 1),
    "rain": lambda n: noisy(LOOKS[n % 80], 5),
    "lights": lambda n: luma(LOOKS[n % 80] * (1.25 if n // 40 % 2 else 1.0)),
    "swaying": lambda n: shifted(LOOKS[n % 80], 0.008 * np.sin(n), 0),
    "lorry": lambda n: parked(LOOKS[n % 80]),
    "passing-bus": lambda n: np.full_like(LOOKS[0], 90) if n % 30 < 10 else LOOKS[n % 80],
}


def parked(look):
    look = look.copy()
    look[40:170, 20:170] = noisy(np.full((130, 150), 150.0), 1)
    return look


@pytest.mark.parametrize("name", LIFE)
def test_normal_life_is_no_fault(watched, name):
    assert watched.show(LIFE[name], 1600) == []


def test_a_camera_that_may_turn_is_never_called_moved_but_its_cover_is_seen():
    camera = Watched(fixed=False)
    camera.show(LOOKS, LEARNED_S)
    assert camera.show(OTHER_VIEW, RELEARN_S["ptz"] - 60) == []
    assert camera.show([FAULTS["cloth"][1](LOOKS[0])] * 3, WITHIN_S) == [PictureKind.COVERED]
    camera.show(OTHER_VIEW, 120)
    assert camera.ended == [PictureKind.COVERED]
    assert camera.show(OTHER_VIEW, 2 * RELEARN_S["ptz"]) == []
    soft = [FAULTS["soft"][1](look) for look in OTHER_VIEW[:40]]
    assert camera.show(soft, WITHIN_S) == [PictureKind.DEFOCUSED]


def test_a_view_nobody_turned_back_for_a_day_becomes_the_usual_one():
    camera, other_view = Watched(), [luma(look[::-1, ::-1]) for look in SMALL_LOOKS]
    camera.show(SMALL_LOOKS, LEARNED_S)
    assert camera.show(other_view, WITHIN_S) == [PictureKind.MOVED]
    assert camera.show(other_view, RELEARN_S["moved"], every_s=10) == []
    assert camera.ended == [PictureKind.MOVED]
    assert camera.show(other_view, 600) == []
    assert camera.show(SMALL_LOOKS, WITHIN_S) == [PictureKind.MOVED]


@pytest.mark.parametrize("spoil", [dirty, webbed])
def test_slow_dirt_is_told_after_days_and_ends_with_cleaning(spoil):
    camera = Watched()
    assert camera.show(SMALL_LOOKS, LEARNED_S + SPELL_S, every_s=10) == []
    for strength in (0.2, 0.4, 0.6):  # a spell each
        assert (
            camera.show([spoil(look, strength) for look in SMALL_LOOKS], SPELL_S, every_s=10) == []
        )
    opaque = [spoil(look, 0.9) for look in SMALL_LOOKS]
    kinds = camera.show(opaque, SPELLS_TO_TELL * SPELL_S, every_s=10)
    assert kinds == [PictureKind.DIRTY]
    camera.show(SMALL_LOOKS, 2 * SPELL_S, every_s=10)
    assert camera.ended == [PictureKind.DIRTY]


def test_a_lorry_parked_for_a_working_day_is_no_dirt(watched):
    watched.show(LOOKS, SPELL_S, every_s=10)
    assert watched.show(LIFE["lorry"], 1.9 * SPELL_S, every_s=10) == []
    assert watched.show(LOOKS, SPELL_S, every_s=10) == []


def test_what_was_learned_survives_a_restart(watched, tmp_path):
    save(tmp_path, "this camera", watched.health.baselines)
    again = Watched(load(tmp_path, "this camera"))
    assert not again.health.is_learning
    assert again.show([FAULTS["soft"][1](look) for look in LOOKS], 120) == [PictureKind.DEFOCUSED]
    assert (tmp_path / BASELINE_FILE).stat().st_size < 40_000
    assert list(tmp_path.iterdir()) == [tmp_path / BASELINE_FILE]


@pytest.mark.parametrize("name", ["lid", "paint", "black", "pushed"])
def test_what_was_done_while_the_box_was_off_is_told(watched, tmp_path, name):
    save(tmp_path, "this camera", watched.health.baselines)
    kind, spoil = FAULTS[name]
    again = Watched(load(tmp_path, "this camera"))
    assert again.show([spoil(look) for look in LOOKS[:40]], WITHIN_S) == [kind]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version":1,"identity":"x"}'])
def test_a_damaged_or_foreign_baseline_is_learned_anew(watched, tmp_path, content):
    save(tmp_path, "another camera", watched.health.baselines)
    assert load(tmp_path, "this camera") == {}
    (tmp_path / BASELINE_FILE).write_bytes(content)
    assert load(tmp_path, "x") == {}


def test_a_picture_too_small_to_judge_is_left_alone():
    assert Watched().show([np.zeros((10, 12), np.uint8)], 600) == []


def test_a_camera_turned_while_it_is_learned_is_known_by_its_last_view():
    camera = Watched()
    camera.show(OTHER_VIEW, 90)
    assert camera.show(LOOKS, 400) == []
    assert camera.show(OTHER_VIEW, WITHIN_S) == [PictureKind.MOVED]
