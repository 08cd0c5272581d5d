"""On real footage lines count within one of the truth, tampering and left things are found in time.

The footage was looked at while the rules were made; other footage checks them.
"""

import itertools
import json
import os
from pathlib import Path

import av
import pytest

from agent.detect.detector import open_detector
from agent.exam.boxes import PictureFit, read_mot
from agent.exam.footage import Clip
from agent.exam.sitting import sit
from agent.messages.vision import HitState
from agent.rules.rule import build
from agent.settings import rules as told
from agent.settings.model import CameraSettings
from tests.moving_things import WHOLE

WALK_PX = (768, 576)

pytestmark = [
    pytest.mark.footage,
    pytest.mark.skipif(
        "POLESIDE_FOOTAGE" not in os.environ, reason="POLESIDE_FOOTAGE names no footage folder"
    ),
]


@pytest.fixture(scope="module")
def folder():
    named = Path(os.environ["POLESIDE_FOOTAGE"])
    return named / "dev" if (named / "dev").is_dir() else named


@pytest.fixture(scope="module")
def truth(folder):
    return json.loads((folder / "expected_events.json").read_text())


@pytest.fixture(scope="module")
def detector():
    return open_detector()


def watched(path, detector, *rules, fps=5.0):
    """Sit a clip through the box's own eyes; return (what was raised, what was counted)."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        clip = Clip(path, stream.width, stream.height, float(stream.average_rate), stream.frames)
    camera = CameraSettings(
        camera_id="gate", main_url="rtsp://10.0.0.1/", rules=rules, detect_fps=fps
    )
    return sit(clip, camera, detector, lambda _: None)


@pytest.mark.parametrize(
    ("name", "fps"), [("walk_a_576p10_h264.mp4", 10.0), ("walk_a_sub_480p10_h264.mp4", 5.0)]
)
def test_line_crossings_are_within_one_of_the_truth(name, fps, detector, folder, truth):
    walk = truth["walk_a"]
    line = tuple((x / WALK_PX[0], y / WALK_PX[1]) for x, y in walk["line"])
    rule = told.LineCrossingRule(rule_id="line", line=line)
    counts = watched(folder / name, detector, rule, fps=fps).counts
    sides = [crossing["side"] for crossing in walk["line_crossings"]]
    assert abs(counts["line.forward"] - sides.count(1)) <= 1
    assert abs(counts["line.back"] - sides.count(-1)) <= 1


def test_a_car_crosses_a_line_once(detector, folder):
    rule = told.LineCrossingRule(
        rule_id="line", line=((0.0, 0.5), (1.0, 0.5)), labels=("car", "truck"), min_score=0.17
    )
    counts = watched(folder / "cars_a_720p12_h264.mp4", detector, rule, fps=6.0).counts
    assert sum(counts.values()) in {0, 1, 2}  # one car, seen from straight above


@pytest.mark.parametrize("kind", ["cover", "defocus", "shift"])
def test_tampering_is_found_within_ten_seconds_and_never_before_it_happens(
    kind, detector, folder, truth
):
    rule = told.TamperRule(rule_id="eye")
    hits = watched(folder / f"tamper_{kind}_576p10_h264.mp4", detector, rule).hits
    from_s = truth[f"tamper_{kind}"]["tamper_from_s"]
    began_s = [hit.mono_s for hit in hits if hit.state is HitState.BEGAN]
    assert began_s
    assert all(from_s <= at_s for at_s in began_s)
    assert began_s[0] <= from_s + 10.0


def test_an_object_left_behind_is_found_where_it_lies_and_nothing_else(detector, folder, truth):
    rule = told.AbandonedObjectRule(rule_id="left", zone=WHOLE)
    found = watched(folder / "abandoned_576p10_h264.mp4", detector, rule)
    [alarm] = found.alarms
    expected = truth["abandoned"]
    x, y, width, height = expected["object_xywh"]
    assert expected["from_s"] + rule.still_s <= alarm.at_s <= expected["until_s"]
    [thing] = found.hits[0].objects
    middle = (thing.region.x + thing.region.width / 2, thing.region.y + thing.region.height / 2)
    assert middle[0] == pytest.approx((x + width / 2) / WALK_PX[0], abs=0.03)
    assert middle[1] == pytest.approx((y + height / 2) / WALK_PX[1], abs=0.03)


@pytest.mark.parametrize("name", ["walk_a_576p10_h264.mp4", "counter_a_720p10_h264.mp4"])
def test_where_nothing_is_left_nothing_is_found(name, detector, folder):
    rules = (
        told.AbandonedObjectRule(rule_id="left", zone=WHOLE),
        told.RemovedObjectRule(rule_id="gone", zone=WHOLE, enabled=True),
        told.TamperRule(rule_id="eye"),
    )
    assert watched(folder / name, detector, *rules).alarms == []


def test_loitering_in_a_crowd_is_what_it_is_on_the_true_tracks(detector, folder):
    """Measured: F1 0.91 over 325 zones and dwell times of three films; here some of one."""
    looks = watched(folder / "walk_a_576p10_h264.mp4", detector).looks
    fit = PictureFit(WALK_PX, WALK_PX)
    walkers = read_mot(folder / "walk_a_gt.txt", fit, 10.0, frozenset({"person"}), 0.5)
    found = due = true = 0
    for left, top in itertools.product((0.0, 0.2, 0.4, 0.6), (0.2, 0.4)):
        zone = ((left, top), (left + 0.4, top), (left + 0.4, top + 0.5), (left, top + 0.5))
        for dwell_s in (5.0, 10.0, 15.0, 20.0):
            rule = told.LoiteringRule(rule_id="here", zone=zone, dwell_s=dwell_s)
            seen = began(rule, [(look.at_s, look.tracks) for look in looks])
            meant = began(rule, [(n / 5, walkers.tracks_at(n / 5)) for n in range(200)])
            found, due = found + len(seen), due + len(meant)
            true += sum(any(at - 2 <= one <= at + 10 for one in seen) for at in meant)
    assert due >= 15
    assert 2 * true / (found + due) >= 0.8


def began(settings, film):
    [rule] = build([settings])
    changes = [(at_s, one) for at_s, seen in film for one in rule.update(seen, 100.0 + at_s)]
    return [at_s for at_s, one in changes if one.state is HitState.BEGAN]
