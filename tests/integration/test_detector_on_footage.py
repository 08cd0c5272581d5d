"""On a real fixed camera the detector, tracker and intrusion rule are as good as was measured.

The bounds lie a margin below the figures measured when the model was chosen.
"""

import json
import os
from pathlib import Path

import av
import numpy as np
import pytest

from agent.detect.detector import open_detector
from agent.detect.faces import FaceFinder
from agent.detect.letterbox import FrameScaler
from agent.detect.motion import MotionGate, luma_of
from agent.detect.tracker import Tracker
from agent.messages.vision import HitState
from agent.rules.intrusion import Intrusion
from agent.settings.rules import IntrusionRule
from tests.accuracy import Truth, idf1, match, read_mot

WALK_SIZE_PX = (768, 576)
WHOLE_PICTURE = ((0, 0), (1, 0), (1, 1), (0, 1))
NOTHING = Truth(np.zeros((0, 4)), np.zeros(0, int))

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
def detector():
    return open_detector()


def look(detector, clip, *, fps):
    """Return (frame number, seconds, detections) of a clip, thinned to `fps`."""
    scaler, seen = FrameScaler(*detector.manifest.inputs), []
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        clip_fps = float(stream.average_rate)
        every = round(clip_fps / fps)
        for number, frame in enumerate(container.decode(stream)):
            if number % every == 0:
                made = scaler.to_detector_input(frame)
                found = detector.detect(made.image, made.content_width_px, made.content_height_px)
                seen.append((number, number / clip_fps, found))
    return seen


@pytest.fixture(scope="module")
def walk(detector, folder):
    return look(detector, folder / "walk_a_sub_480p10_h264.mp4", fps=5)


@pytest.fixture(scope="module")
def truth(folder):
    return read_mot(folder / "walk_a_gt.txt", *WALK_SIZE_PX)


def intrusions(seen, zone, **settings):
    """Return [(began, ended or None)] in seconds, of people in the zone."""
    tracker, spans = Tracker(), []
    rule = Intrusion(IntrusionRule(rule_id="r", zone=zone, **settings))
    for _, at_s, detections in seen:
        for change in rule.update(tracker.update(detections, at_s), at_s):
            if change.state is HitState.BEGAN:
                spans.append((at_s, None))
            elif change.state is HitState.ENDED:
                spans[-1] = (spans[-1][0], at_s)
    return spans


@pytest.fixture(scope="module")
def thresholds(detector):
    return detector.manifest.form_for(*WALK_SIZE_PX).thresholds


def test_people_are_found_as_well_as_measured(walk, truth, thresholds):
    frames = [
        ([one for one in found if one.label == "person"], truth.get(number, NOTHING))
        for number, _, found in walk
    ]
    matches = match(frames)
    precision, recall = matches.precision_recall(thresholds.of("person"))
    assert matches.average_precision > 0.88
    assert precision > 0.9
    assert recall > 0.85


def test_people_keep_their_identities_as_well_as_measured(walk, truth, thresholds):
    tracker = Tracker(thresholds)
    frames = [
        (
            [one for one in tracker.update(found, at_s) if one.label == "person"],
            truth.get(number, NOTHING),
        )
        for number, at_s, found in walk
    ]
    assert idf1(frames) > 0.75


def test_an_occupied_zone_is_an_intrusion_for_as_long_as_it_is_occupied(walk, folder):
    expected = json.loads((folder / "expected_events.json").read_text())["walk_a"]
    zone = tuple((x / WALK_SIZE_PX[0], y / WALK_SIZE_PX[1]) for x, y in expected["zone"])
    spans = intrusions(walk, zone)
    last_s = walk[-1][1]
    active_s = sum((ended or last_s) - began for began, ended in spans)
    assert 1 <= len(spans) <= 3
    assert active_s == pytest.approx(expected["zone_occupied_s"], rel=0.15)


def test_each_lone_person_is_one_intrusion_from_coming_to_leaving(detector, folder):
    expected = json.loads((folder / "expected_events.json").read_text())["counter_a"]["presence_s"]
    seen = look(detector, folder / "counter_a_720p10_h264.mp4", fps=5)
    spans = intrusions(seen, WHOLE_PICTURE, clear_s=1.5)
    assert len(spans) == len(expected)
    for (began_s, ended_s), (came_s, left_s) in zip(spans, expected, strict=True):
        assert came_s < began_s < came_s + 3.0  # a second of it is dwell time
        assert ended_s == pytest.approx(left_s + 1.5, abs=1.5)


def test_a_car_is_one_car_and_nobody_is_invented(detector, folder):
    [(came_s, left_s)] = json.loads((folder / "expected_events.json").read_text())["cars_a"][
        "presence_s"
    ]
    seen = look(detector, folder / "cars_a_720p12_h264.mp4", fps=6)
    assert intrusions(seen, WHOLE_PICTURE, dwell_s=0.5) == []
    least = detector.manifest.thresholds.of("car")
    [(began_s, ended_s)] = intrusions(
        seen, WHOLE_PICTURE, dwell_s=0.5, labels=("car",), min_score=least
    )
    assert came_s < began_s < left_s < ended_s


def test_people_are_found_in_the_dark(detector, folder, truth):
    seen = look(detector, folder / "night_576p10_h264.mp4", fps=2)
    matches = match(
        [
            ([one for one in found if one.label == "person"], truth.get(number, NOTHING))
            for number, _, found in seen
        ]
    )
    assert matches.average_precision > 0.86


def test_the_motion_gate_is_shut_before_somebody_comes_and_open_while_there(folder):
    expected = json.loads((folder / "expected_events.json").read_text())["counter_a"]["presence_s"]
    gate, active = MotionGate(), []
    with av.open(str(folder / "counter_a_720p10_h264.mp4")) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for number, frame in enumerate(container.decode(stream)):
            if number % 2 == 0:
                active.append((number / 10, gate.update(luma_of(frame)).active))
    before = [moves for at_s, moves in active if 0.5 < at_s < expected[0][0] - 0.5]
    there = [
        moves for at_s, moves in active for came_s, left_s in expected if came_s < at_s < left_s
    ]
    assert sum(before) == 0
    assert sum(there) > 0.95 * len(there)


def test_faces_on_photographs_are_found_by_the_model_that_blurs_them(folder):
    finder, found = FaceFinder(), 0
    for name in ("4134", "5193", "6954", "9378", "9590", "10707"):  # people near and far
        with av.open(str(folder / "coco_val" / "images" / f"{name:0>12}.jpg")) as picture:
            found += len(finder.faces(next(picture.decode(video=0))))
    assert found >= 21
