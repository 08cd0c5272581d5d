"""What helps to aim a camera is measured rightly, and what is masked is seen by nobody."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest

from agent.app.aim_look import AimLook, sharpness
from agent.app.key_picture import KeyPicture
from agent.app.picture_mask import PictureMask
from agent.push.live_tap import LiveTap
from agent.settings.model import CameraSettings
from agent.settings.rules import Calibration, IntrusionRule, Landmark

WIDTH_PX, HEIGHT_PX = 640, 360
NO_B_FRAMES = {
    "libx264": {"bf": "0"},
    "libx265": {"x265-params": "bframes=0:log-level=none", "preset": "ultrafast"},
}
SQUARE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))


def camera(**told):
    return CameraSettings(camera_id="gate", main_url="rtsp://10.0.0.1/m", **told)


def texture(blur_px=1):
    """Return a picture of random squares, smeared over `blur_px`."""
    grey = np.random.default_rng(7).integers(20, 230, (45, 80)).astype(float)
    grey = np.kron(grey, np.ones((8, 8)))
    kernel = np.ones(blur_px) / blur_px
    for axis in (0, 1):
        grey = np.apply_along_axis(np.convolve, axis, grey, kernel, "same")
    return grey.astype(np.uint8)


def frame_of(grey):
    rgb = np.repeat(grey[..., None], 3, axis=2)
    return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")


def tap_with(codec, grey, tap=None):
    """Return a tap that holds a GOP whose key frame is this picture, as a run of its own."""
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=10, options=NO_B_FRAMES[codec])
        stream.width, stream.height, stream.pix_fmt = grey.shape[1], grey.shape[0], "yuv420p"
        for number in range(6):
            frame = frame_of(grey)
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    out.seek(0)
    tap, source = tap or LiveTap(), av.open(out)
    tap.run_started(source.streams.video[0])
    for packet in source.demux(video=0):
        if packet.dts is not None:
            tap.packet(packet)
    return tap, source


def test_the_sharper_a_picture_the_higher_its_score():
    scores = [sharpness(texture(blur_px)) for blur_px in (1, 3, 6, 12)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 4 * scores[-1]


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_sharpness_is_of_the_main_stream(codec):
    tap, source = tap_with(codec, np.kron(texture(), np.ones((2, 2), np.uint8)))
    with source:
        reading = AimLook(tap).look(camera(), frame_of(texture(12)))
    assert reading.of == "main"
    assert reading.focus > 2 * sharpness(texture(12))
    with av.open(io.BytesIO(reading.detail)) as detail:
        assert next(detail.decode(video=0)).width == 480


def test_without_a_main_stream_it_is_of_the_small_one():
    reading = AimLook(LiveTap()).look(camera(), frame_of(texture()))
    assert reading.of == "sub"
    assert reading.focus > 100
    assert (reading.horizon, reading.scales) == (None, ())


def test_a_calibrated_camera_tells_its_horizon_and_pixels_a_metre():
    """Seen from 10 m high and 10 degrees down, 60 degrees wide; the far metre is the smaller."""
    focal, down = 0.5 / np.tan(np.radians(30)), np.radians(10)

    def seen(east, north):
        ahead = north * np.cos(down) + 10 * np.sin(down)
        below = 10 * np.cos(down) - north * np.sin(down)
        return (0.5 + focal * east / ahead, 0.5 + focal * below / ahead * 16 / 9)

    ground = [(-5, 20), (5, 20), (8, 40), (-8, 40), (0, 30)]
    marks = tuple(Landmark(at=seen(*place), ground_m=place) for place in ground)
    zone = tuple(seen(*place) for place in ((-3, 20), (3, 20), (3, 40), (-3, 40)))
    told = camera(
        calibration=Calibration(landmarks=marks), rules=(IntrusionRule(rule_id="z", zone=zone),)
    )
    reading = AimLook(LiveTap()).look(told, frame_of(texture()))
    ((_, left), (_, right)) = reading.horizon
    assert left == pytest.approx(right) == pytest.approx(0.5 - focal * np.tan(down) * 16 / 9)
    assert reading.level_deg == 0
    (scale,) = reading.scales
    for found, north in ((scale.most_px_per_m, 20), (scale.least_px_per_m, 40)):
        ahead = north * np.cos(down) + 10 * np.sin(down)
        assert found == pytest.approx(focal * WIDTH_PX / ahead, rel=0.02)


def test_what_is_masked_is_black_and_all_else_as_it_was():
    frame = frame_of(texture())
    before = frame.to_ndarray()
    masked = PictureMask((SQUARE,)).over(frame)
    grey = masked.to_ndarray()[:HEIGHT_PX]
    assert (grey[95:265, 165:475] == 16).all()
    outside = np.ones((HEIGHT_PX, WIDTH_PX), bool)
    outside[90:270, 160:480] = False
    assert (grey[outside] == before[:HEIGHT_PX][outside]).all()
    assert (frame.to_ndarray() == before).all()  # the decoder may still need it
    assert PictureMask(()).over(frame) is frame


def test_of_a_stream_that_came_again_with_the_same_times_the_new_picture_is_shown():
    grey = texture()
    tap, _source = tap_with("libx264", grey)
    picture = KeyPicture(tap)
    before = picture.newest()
    assert picture.newest() is before  # decoded once
    _, _other = tap_with("libx264", 255 - grey, tap)
    after = picture.newest()
    assert np.abs(after.to_ndarray(format="gray") - before.to_ndarray(format="gray")).mean() > 20
    tap.run_ended()
    assert picture.newest() is None
