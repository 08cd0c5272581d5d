"""A rule that can't work is refused with words that say what to correct."""

import pytest

from agent.core.errors import SettingsError
from agent.detect.manifest import load_manifest
from agent.settings.labels import LABELS
from agent.settings.load import validate

ZONE = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]


def settings(rule, camera=None, **box):
    one = {"camera_id": "gate", "main_url": "rtsp://10.0.0.1/main"} | (camera or {})
    return validate({"cameras": [one | {"rules": [{"rule_id": "r"} | rule]}]} | box)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"kind": "intrusion", "zone": [[0, 0], [1, 1], [1, 0], [0, 1]]}, "crosses itself"),
        ({"kind": "intrusion", "zone": [[0, 0], [0.5, 0.5], [1, 1]]}, "encloses nothing"),
        ({"kind": "intrusion", "zone": ZONE, "labels": ["persn"]}, "did you mean `person`"),
        (
            {"kind": "intrusion", "zone": ZONE, "schedule": ["mon 25:00-26:00"]},
            "no time of the day",
        ),
        ({"kind": "intrusion", "zone": ZONE, "schedule": ["moon 01:00-02:00"]}, "names no days"),
        ({"kind": "intrusion", "zone": ZONE, "schedule": ["at night"]}, "no window"),
        ({"kind": "intrusion", "zone": ZONE, "toward": [0, 0]}, "must point somewhere"),
        ({"kind": "line-crossing", "line": [[0.5, 0.5], [0.5, 0.5]]}, "same place"),
        ({"kind": "crowd", "zone": ZONE}, "calibration"),
        ({"kind": "crowd", "zone": ZONE, "area_m2": 9.0, "levels": [3, 2, 1]}, "must rise"),
        ({"kind": "flood", "gauge": [[0.5, 0.9], [0.5, 0.1]], "marks": [0, 0.2, 0.3, 0.4]}, "rise"),
        ({"kind": "telepathy", "zone": ZONE}, "telepathy"),
    ],
)
def test_what_cannot_work_is_refused_in_plain_words(rule, words):
    with pytest.raises(SettingsError, match=words) as refused:
        settings(rule)
    assert "$" in str(refused.value)


@pytest.mark.parametrize(
    ("camera", "box", "words"),
    [
        ({"calibration": {}}, {}, "needs `landmarks` or `size_m`"),
        (
            {
                "calibration": {
                    "landmarks": [
                        {"at": [0.1 * n, 0.1 * n], "ground_m": [n, n * n]} for n in range(5)
                    ]
                }
            },
            {},
            "one line",
        ),
        ({}, {"time_zone": "Mars/Olympus"}, "no time zone"),
        ({}, {"alarms": {"overlaps": [["gate", "roof"]]}}, "there is not"),
    ],
)
def test_a_place_that_cannot_be_is_refused_too(camera, box, words):
    with pytest.raises(SettingsError, match=words):
        settings({"kind": "intrusion", "zone": ZONE}, camera, **box)


def test_the_known_classes_are_those_of_the_shipped_model():
    assert tuple(load_manifest().labels) == LABELS
