"""What a rule was told in metres is decided on the ground; without calibration it is refused."""

import pytest
from msgspec import structs

from agent.core.errors import SettingsError
from agent.messages.vision import HitState
from agent.rules.rule import build
from agent.settings import rules as told
from agent.settings.load import validate
from tests.moving_things import WHOLE, play, thing

BEGAN = HitState.BEGAN
ZONE = [list(corner) for corner in WHOLE]


def on_ground(place, speed_mps, track_id=1):
    """Return somebody at a place in metres; where in the picture matters not."""
    x = 0.2 + place[0] / 100
    return [structs.replace(thing(x, 0.8, track_id), ground_m=place, speed_mps=speed_mps)]


def began(settings, film):
    [rule] = build([settings])
    return [at_s for at_s, change in play(rule, film) if change.state is BEGAN]


def test_who_walks_along_a_long_zone_does_not_loiter_and_who_paces_to_and_fro_does():
    rule = told.LoiteringRule(rule_id="quay", zone=WHOLE, dwell_s=20.0, within_m=6.0)
    strolls = [on_ground((0.2 * n, 3.0), 1.0) for n in range(300)]
    assert began(rule, strolls) == []
    paces = [on_ground((abs(n % 20 - 10) * 0.4, 3.0), 2.0) for n in range(150)]
    assert began(rule, paces) == [20.0]
    assert began(structs.replace(rule, within_m=None), strolls) == [20.0]


def test_only_who_goes_so_fast_intrudes_or_goes_the_wrong_way():
    runs = told.IntrusionRule(rule_id="runs", zone=WHOLE, min_speed_mps=3.0)
    assert began(runs, [on_ground((0.2 * n, 0.0), 1.0) for n in range(30)]) == []
    assert began(runs, [on_ground((0.8 * n, 0.0), None) for n in range(30)]) == []
    assert began(runs, [on_ground((0.8 * n, 0.0), 4.0) for n in range(30)]) == [1.0]
    against = told.WrongWayRule(
        rule_id="lane", zone=WHOLE, way=(-1, 0), labels=("person",), min_speed_mps=3.0
    )
    rolls, drives = ([on_ground((2.0 * n, 0.0), mps) for n in range(30)] for mps in (1.0, 10.0))
    assert began(against, rolls) == []
    assert began(against, drives) != []


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({"kind": "intrusion", "min_speed_mps": 3.0}, "min_speed_mps"),
        ({"kind": "wrong-way", "way": [1, 0], "min_speed_mps": 3.0}, "min_speed_mps"),
        ({"kind": "loitering", "within_m": 5.0}, "within_m"),
        ({"kind": "crowd"}, "levels"),
    ],
)
def test_metres_without_a_calibration_are_refused(rule, named):
    camera = {"camera_id": "gate", "main_url": "rtsp://10.0.0.1/main"}
    own = {"rule_id": "r", "zone": ZONE} | rule
    with pytest.raises(SettingsError, match=named):
        validate({"cameras": [camera | {"rules": [own]}]})
    calibration = {"size_m": [20.0, 10.0]}
    validate({"cameras": [camera | {"rules": [own], "calibration": calibration}]})
