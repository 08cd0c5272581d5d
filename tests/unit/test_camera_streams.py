"""Main and sub are chosen by facts, never by order or name."""

import itertools

from agent.cameras.port import StreamProfile
from agent.cameras.streams import choose


def profile(token: str, width_px: int, height_px: int, encoding: str = "H264", fps: float = 15.0):
    return StreamProfile(
        token, "main" if token == "s" else "x", encoding, width_px, height_px, fps, 30
    )


def test_order_and_names_mean_nothing():
    big, mid, small = profile("b", 1920, 1080), profile("m", 640, 480), profile("s", 320, 180)
    for listed in itertools.permutations((big, mid, small)):
        assert choose(listed) == (big, mid)


def test_jpeg_is_the_last_choice():
    jpeg, h264 = profile("j", 3840, 2160, "JPEG"), profile("h", 1280, 720)
    assert choose((jpeg, h264)) == (h264, None)
    assert choose((jpeg,)) == (jpeg, None)


def test_of_two_equal_sizes_the_faster_is_main_and_no_sub_is_made_up():
    slow, fast = profile("a", 1920, 1080, fps=5), profile("b", 1920, 1080, fps=25)
    assert choose((slow, fast)) == (fast, None)


def test_a_camera_without_video_has_no_streams():
    assert choose(()) == (None, None)
    assert choose((profile("x", 0, 0, ""),)) == (None, None)
