"""Media time: what libav left undated gets its time, and every way time can break is told apart."""

from fractions import Fraction

import av
import pytest

from agent.core.errors import CameraError
from agent.ingest import nal_units
from agent.ingest.timeline import Dating, Timeline

TICKS = 9_000  # 10 pictures a second


def packet(dts, pts=None):
    made = av.Packet(b"\x00\x00\x00\x01\x41picture")
    made.dts, made.pts = dts, dts if pts is None else pts
    made.time_base = Fraction(1, 90_000)
    return made


def undated(pts=None):
    made = packet(None)
    made.pts = pts
    return made


def dated(packets):
    dating = Dating()
    return [(p.dts, p.pts) for given in packets for p in dating.take(given)]


def test_the_first_key_frame_of_a_connection_gets_the_time_before_the_second():
    first = 630_000  # an RTCP report came seconds before the first picture
    given = [undated(), packet(first), packet(first + TICKS), packet(first + 2 * TICKS)]
    times = [first - TICKS, first, first + TICKS, first + 2 * TICKS]
    assert dated(given) == [(time, time) for time in times]


def test_b_frames_are_dated_so_that_decoding_goes_on_evenly():
    given = [
        undated(),
        undated(27_000),
        undated(9_000),
        packet(9_000, 18_000),
        packet(18_000, 54_000),
    ]
    assert dated(given) == [
        (-18_000, 0),
        (-9_000, 27_000),
        (0, 9_000),
        (9_000, 18_000),
        (18_000, 54_000),
    ]


def test_a_stream_that_is_dated_from_the_start_waits_for_nothing():
    assert dated([packet(0)]) == [(0, 0)]


def fed(timeline, steps):
    """Feed (media step, real step) in seconds; return the first break, if any."""
    media_s = real_s = 100.0
    for media_step_s, real_step_s in steps:
        media_s, real_s = media_s + media_step_s, real_s + real_step_s
        given = packet(round(media_s * 90_000))
        if cause := timeline.break_before(given, real_s):
            return cause
        timeline.advance(given, real_s)
    return None


def timeline(stall_s=8.0):
    return Timeline(Fraction(1, 90_000), stall_s)


STEADY = [(0.1, 0.1)] * 20


@pytest.mark.parametrize(
    ("then", "cause"),
    [
        pytest.param([(3600.0, 0.1)], "timestamp-jump", id="an hour on"),
        pytest.param([(-3600.0, 0.1)], "timestamp-jump", id="an hour back"),
        pytest.param([(5.0, 5.0)], "timeout", id="nothing was sent for five seconds"),
        pytest.param([(0.1, 7.0), *[(0.1, 0.0)] * 69], None, id="the network held it back"),
        pytest.param([(0.1, 0.125)] * 6000, None, id="a fifth too slow for minutes"),
        pytest.param([(0.0, 0.1)], None, id="the same time twice"),
    ],
)
def test_what_breaks_a_timeline_and_what_does_not(then, cause):
    assert fed(timeline(), [*STEADY, *then]) == cause


@pytest.mark.parametrize(
    "then",
    [
        pytest.param([(0.0, 0.1)] * 90, id="standing still"),
        pytest.param([(0.1, 7.0)] * 3, id="one picture in seven seconds"),
        pytest.param([(0.1, 0.5)] * 60, id="a fifth of real time"),
    ],
)
def test_media_time_that_stands_still_or_crawls_is_a_stall(then):
    with pytest.raises(CameraError) as caught:
        fed(timeline(), [*STEADY, *then])
    assert caught.value.code == "camera.frozen"


START = b"\x00\x00\x00\x01"


@pytest.mark.parametrize(
    ("codec", "first", "is_known"),
    [
        ("h264", b"\x67\x42", True),
        ("h264", b"\x40\x01", False),  # an H.265 VPS
        ("h264", b"\xe7\x42", False),  # the forbidden bit
        ("hevc", b"\x40\x01", True),
        ("hevc", b"\x67\x42", False),  # an H.264 SPS
        ("hevc", b"\x40\x00", False),  # temporal id 0
    ],
)
def test_a_codec_knows_its_own_nal_units(codec, first, is_known):
    assert nal_units.is_of(START + first + b"rest", codec) is is_known


def test_sequence_parameters_are_found_before_the_first_slice_only():
    sps, pps, idr = b"\x67sps", b"\x68pps", b"\x65slice"
    packet = START + b"\x09\xf0" + START + sps + START + pps + START + idr + START + b"\x67later"
    assert nal_units.sequence_sets(memoryview(packet), "h264") == sps


def test_length_prefixed_samples_of_a_file_are_left_alone():
    sample = b"\x00\x00\x00\x05\x67abcd"
    assert nal_units.is_of(sample, "hevc")
    assert nal_units.sequence_sets(memoryview(sample), "h264") == b""
