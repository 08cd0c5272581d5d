"""Of a description the video is taken; what libav must read, and what is no video, is told."""

import base64

import pytest

from agent.core.errors import CameraError
from agent.ingest.wire.description import read_description
from agent.ingest.wire.strange import NotUnderstood

SPS, PPS = b"\x67\x42", b"\x68\xce"
SETS = ",".join(base64.b64encode(one).decode() for one in (SPS, PPS))
HEAD = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\na=control:rtsp://h/main/\r\n"
SOUND = "m=audio 0 RTP/AVP 0\r\na=control:trackID=1\r\n"
VIDEO = (
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=0\r\n"
    f"a=fmtp:96 packetization-mode=1; profile-level-id=42; sprop-parameter-sets={SETS}\r\n"
)


def test_the_video_track_its_sets_and_its_address_are_taken():
    track, control = read_description(HEAD + SOUND + VIDEO)
    assert (track.codec, track.payload_type, track.control) == ("h264", 96, "trackID=0")
    assert track.sets == (SPS, PPS)
    assert control == "rtsp://h/main/"


def test_h265_sets_come_in_their_order():
    word = base64.b64encode(b"\x40\x01").decode()
    video = (
        f"m=video 0 RTP/AVP 98\na=rtpmap:98 H265/90000\na=fmtp:98 sprop-pps={word};sprop-vps={word}"
    )
    track, control = read_description(video)
    assert (track.codec, track.sets, control) == ("hevc", (b"\x40\x01", b"\x40\x01"), "")


@pytest.mark.parametrize("spoilt", ["=", "Zm9v!", "é", "A" * 5])
def test_spoilt_sets_are_left_out(spoilt):
    track, _ = read_description(VIDEO.replace(SETS, spoilt))
    assert track.sets == ()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (HEAD + SOUND, "camera.no_video"),
        ("", "camera.no_video"),
        ("m=video", "camera.codec"),
        ("m=video 0 RTP/AVP 26\r\n", "camera.codec"),
        (VIDEO.replace("H264", "MP4V-ES"), "camera.codec"),
        (VIDEO * 20_000, "camera.garbled"),
    ],
)
def test_what_can_not_be_recorded_is_said(text, code):
    with pytest.raises(CameraError) as told:
        read_description(text)
    assert told.value.code == code


@pytest.mark.parametrize(
    "text",
    [
        VIDEO.replace("packetization-mode=1", "packetization-mode=2"),
        VIDEO.replace("H264", "H265").replace("packetization-mode=1", "sprop-max-don-diff=4"),
        VIDEO.replace("90000", "48000"),
    ],
)
def test_what_is_rare_is_left_to_libav(text):
    with pytest.raises(NotUnderstood):
        read_description(text)


def test_a_control_address_can_not_smuggle_a_line_into_a_request():
    track, _ = read_description(VIDEO.replace("trackID=0", "x y\x0b"))
    assert track.control == ""
