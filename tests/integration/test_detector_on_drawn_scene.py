"""From a drawn street to an intrusion: the real detector, tracker and rule on a real picture."""

import av
import pytest

from agent.detect.detector import open_detector
from agent.detect.letterbox import FrameScaler
from agent.detect.motion import MotionGate, luma_of
from agent.detect.tracker import Tracker
from agent.messages.vision import HitState
from agent.rules.intrusion import Intrusion
from agent.settings.rules import IntrusionRule
from agent.simulators.drawn_scene import CYCLE_S, ROAD_ZONE, frames, person_at

FPS = 2.5


@pytest.fixture(scope="module")
def detector():
    return open_detector()


def people(detections, detector):
    least = detector.manifest.thresholds.of("person")
    return [one for one in detections if one.label == "person" and one.score >= least]


@pytest.mark.parametrize(("width_px", "height_px"), [(640, 480), (640, 360)])
def test_the_detector_fires_on_the_walker_and_on_nothing_else(detector, width_px, height_px):
    scaler = FrameScaler(detector.manifest.input)
    scores, false_alarms = [], 0
    for number, picture in enumerate(frames(width_px, height_px, FPS, 2 * CYCLE_S)):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        made = scaler.to_detector_input(frame)
        seen = people(
            detector.detect(made.image, made.content_width_px, made.content_height_px), detector
        )
        truth = person_at(number / FPS, width_px, height_px)
        if truth is None:
            false_alarms += len(seen)
        elif truth.width > 0.045:  # not just entering or leaving
            scores.append(max((one.score for one in seen), default=0.0))
    assert len(scores) > 30
    assert sum(score >= 0.5 for score in scores) / len(scores) > 0.9
    assert false_alarms == 0


def test_each_crossing_is_one_intrusion_and_the_empty_street_costs_no_inference(detector):
    scaler, gate, tracker = FrameScaler(detector.manifest.input), MotionGate(), Tracker()
    rule = Intrusion(IntrusionRule(rule_id="road", zone=ROAD_ZONE, dwell_s=1.0, clear_s=2.0))
    told, looks_when_empty, empty = [], 0, 0
    for number, picture in enumerate(frames(640, 360, 5.0, 2 * CYCLE_S)):
        at_s = number / 5.0
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        active = gate.update(luma_of(frame)).active
        if person_at(at_s, 640, 360) is None:
            empty, looks_when_empty = empty + 1, looks_when_empty + active
        seen = []
        if active:
            made = scaler.to_detector_input(frame)
            seen = detector.detect(made.image, made.content_width_px, made.content_height_px)
        told += [
            (at_s, change.state)
            for change in rule.update(tracker.update(seen, at_s), at_s)
            if change.state is not HitState.CONTINUES
        ]
    assert [state for _, state in told] == [HitState.BEGAN, HitState.ENDED] * 2
    for (began_s, _), cycle in zip(told[::2], range(2), strict=True):
        assert 7.0 < began_s - cycle * CYCLE_S < 11.0
    assert looks_when_empty < empty / 4


def test_self_timing_tells_milliseconds(detector):
    assert detector.self_timing() > 0
    assert detector.backend_name.startswith(("ai-edge-litert ", "tflite-runtime "))
