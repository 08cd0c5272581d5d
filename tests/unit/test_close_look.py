"""A part of the picture is looked at closer only where people are small, and only while it pays."""

import av
import numpy as np
import pytest

from agent.app.eyes import Eyes
from agent.contract.events import Region
from agent.detect.close_look import _TRIES, CloseLook
from agent.detect.manifest import load_manifest
from agent.detect.sharing import Sharing, Wish
from agent.detect.wire import DetectReply
from agent.exam.sitting import MediaClock
from agent.messages.vision import Detection
from agent.settings.model import CameraSettings

SPEC, THRESHOLDS = load_manifest().input, load_manifest().thresholds
SMALL = Region(0.7, 0.3, 0.02, 0.06)
FRAME = av.VideoFrame.from_ndarray(np.zeros((720, 1280, 3), np.uint8), format="rgb24")


def person(region, score=0.3):
    return Detection("person", score, region)


def looked(frame, found, answer, times):
    """Look so often, five times a second; return the last sight and how often a part was asked."""
    asked = []

    def ask(picture):
        asked.append(picture)
        return answer

    close = CloseLook(SPEC, THRESHOLDS)
    seen = ()
    for number in range(times):
        seen = close.look(frame, found, number / 5, ask)
    return seen, asked


def test_who_is_small_is_found_surely_and_in_his_place():
    """The part is half as wide and high as the picture, around him."""
    [one], asked = looked(FRAME, [person(SMALL)], [person(Region(0.48, 0.44, 0.04, 0.12), 0.8)], 9)
    assert one.score == 0.8
    assert (one.region.x, one.region.y) == pytest.approx((SMALL.x, SMALL.y), abs=0.015)
    assert (one.region.width, one.region.height) == pytest.approx((0.02, 0.06))
    assert (asked[0].content_width_px, asked[0].content_height_px) == (416, 234)


def test_where_nobody_is_small_no_part_is_looked_at():
    large = person(Region(0.4, 0.2, 0.1, 0.5), 0.8)
    seen, asked = looked(FRAME, [large], [], 30)
    assert seen == (large,)
    assert asked == []


def test_a_frame_with_no_more_pixels_than_the_detector_takes_has_no_part():
    frame = av.VideoFrame.from_ndarray(np.zeros((256, 416, 3), np.uint8), format="rgb24")
    assert looked(frame, [person(SMALL)], [], 30)[1] == []


def test_a_part_that_shows_no_more_is_left_alone_for_a_while():
    assert len(looked(FRAME, [person(SMALL)], [], 3 * _TRIES)[1]) == _TRIES


def test_a_part_that_shows_more_is_looked_at_on():
    answer = [person(Region(0.48, 0.44, 0.04, 0.12), 0.8)]
    assert len(looked(FRAME, [person(SMALL)], answer, 3 * _TRIES)[1]) > 2 * _TRIES


def test_who_is_cut_by_the_edge_of_the_part_is_left_to_the_whole():
    seen, asked = looked(FRAME, [person(SMALL)], [person(Region(0.0, 0.4, 0.1, 0.2), 0.9)], 9)
    assert asked
    assert seen == (person(SMALL),)


def test_without_an_answer_the_whole_stands():
    seen, asked = looked(FRAME, [person(SMALL)], None, 9)
    assert asked
    assert seen == (person(SMALL),)


def test_second_looks_are_for_a_detector_that_could_serve_all_twice():
    sharing = Sharing(look_s=0.05)  # 17 looks a second
    sharing.every_s("gate", Wish(rate=5.0), 0.0)
    assert sharing.has_spare
    sharing.every_s("roof", Wish(rate=5.0), 0.0)
    assert not sharing.has_spare


class Answering:
    """The detect process's place: sees one small person, whatever it is shown."""

    state, manifest = "ready", None

    def __init__(self, *, has_spare):
        self.asked, self._has_spare = 0, has_spare

    def detect(self, _picture, frame_id, _wish=None):
        self.asked += 1
        found = (person(Region(0.48, 0.44, 0.04, 0.08), 0.8),)
        return DetectReply(
            frame_id=frame_id, detections=found, model="t/1", took_ms=1.0, has_spare=self._has_spare
        )


@pytest.mark.parametrize(
    ("wanted", "has_spare", "asked"), [(True, True, 33), (True, False, 20), (False, True, 20)]
)
def test_only_where_it_is_wanted_and_the_detector_has_time(wanted, has_spare, asked):
    """Seven looks teach where people are small; each of the other 13 is two."""
    camera = CameraSettings(camera_id="gate", main_url="rtsp://b/", close_look=wanted)
    clock, detector = MediaClock(), Answering(has_spare=has_spare)
    eyes = Eyes(camera, detector, load_manifest(), lambda _: None, clock)
    frame = FRAME.reformat(format="yuv420p")
    for number in range(20):
        clock.now_s = float(number)  # somebody known, who stands still: a look a second
        eyes.look(frame, clock.now_s)
    assert detector.asked == asked
    assert len(eyes.view.found) == 1 + (asked == 33)
