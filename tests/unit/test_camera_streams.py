"""Main and sub are chosen by facts, never by order or name."""

import itertools

from agent.cameras.port import StreamProfile
from agent.cameras.streams import choose


def profile(
    token: str,
    width_px: int,
    height_px: int,
    encoding: str = "H264",
    fps: float = 15.0,
    gop: int = 30,
):
    return StreamProfile(
        token, "main" if token == "s" else "x", encoding, width_px, height_px, fps, gop
    )


def chosen(*listed):
    """Choose in every order; the tokens mean nothing either."""
    (only,) = {choose(each) for each in itertools.permutations(listed)}
    return only


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


def test_of_two_equal_sizes_a_long_gop_is_not_recorded_even_if_it_is_faster():
    long, short = profile("a", 1920, 1080, fps=25, gop=250), profile("b", 1920, 1080, fps=20)
    assert chosen(long, short) == (short, None)


def test_of_two_that_are_alike_the_one_with_the_shorter_gop_is_main():
    one, two = profile("a", 1920, 1080, gop=15), profile("b", 1920, 1080, gop=45)
    assert chosen(one, two) == (one, None)


def test_a_smaller_picture_is_not_recorded_for_its_gop():
    big, small = profile("a", 3840, 2160, gop=150), profile("b", 1920, 1080)
    assert chosen(big, small) == (big, small)


def test_a_sub_too_slow_to_detect_on_is_passed_over():
    main, slow, quick = (
        profile("a", 1920, 1080),
        profile("b", 640, 360, fps=1),
        profile("c", 1280, 720, fps=12),
    )
    assert chosen(main, slow, quick) == (main, quick)
    assert chosen(main, slow) == (main, slow)  # better than none


def test_of_two_subs_of_about_the_right_size_the_one_with_the_shorter_gop_is_taken():
    main, exact, near = (
        profile("a", 1920, 1080),
        profile("b", 640, 360, gop=150),
        profile("c", 640, 480, gop=15),
    )
    assert chosen(main, exact, near) == (main, near)


def test_what_a_camera_does_not_say_is_not_held_against_it():
    main, silent, slow = (
        profile("a", 1920, 1080),
        profile("b", 640, 360, fps=0, gop=0),
        profile("c", 640, 360, fps=2),
    )
    assert chosen(main, silent, slow) == (main, silent)
