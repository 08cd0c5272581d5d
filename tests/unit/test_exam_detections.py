"""The exam believes a detection by the threshold of the picture that it is in."""

import numpy as np

from agent.contract.events import Region
from agent.exam.detections import DetectorMeter
from agent.messages.vision import Detection

TRUTH = np.array([[0.1, 0.1, 0.3, 0.6]])
FOUND = [Detection("person", 0.45, Region(0.1, 0.1, 0.2, 0.5))]


def test_what_was_never_seen_scores_nothing():
    meter = DetectorMeter()
    meter.add("person", [], TRUTH, threshold=0.4)
    score = meter.scores()["person"]
    assert (score.boxes, score.recall, score.precision, score.ap50) == (1, 0.0, 0.0, 0.0)


def test_each_picture_is_judged_by_the_threshold_for_its_shape():
    meter = DetectorMeter()
    for threshold in (0.4, 0.5):
        meter.add("person", FOUND, TRUTH, threshold=threshold)
    score = meter.scores()["person"]
    assert (score.boxes, score.recall, score.precision, score.score) == (2, 50.0, 100.0, 0.4)
    assert score.ap50 == 100.0
