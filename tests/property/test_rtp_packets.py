"""Whatever the camera sends, a receiver puts the very same NAL units together again."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from agent.simulators.camera.rtp import interleave, packetise

BODIES = st.binary(min_size=1, max_size=6_000)
PACKET_SIZES = st.integers(min_value=16, max_value=1_500)


def put_together(payloads: list[bytes], header_bytes: int) -> bytes:
    """Do what a receiver does: RFC 6184 section 5.8 (one-byte header) or RFC 7798 4.4.3 (two)."""
    if len(payloads) == 1:
        return payloads[0]
    assert [bool(part[header_bytes] & 0x80) for part in payloads].index(True) == 0
    assert sum(part[header_bytes] >> 7 for part in payloads) == 1
    assert [part[header_bytes] >> 6 & 1 for part in payloads] == [0] * (len(payloads) - 1) + [1]
    first = payloads[0]
    if header_bytes == 1:
        assert all(part[0] & 0x1F == 28 for part in payloads)
        header = bytes([first[0] & 0xE0 | first[1] & 0x1F])
    else:
        assert all(part[0] >> 1 & 0x3F == 49 for part in payloads)
        header = bytes([first[0] & 0x81 | (first[2] & 0x3F) << 1, first[1]])
    return header + b"".join(part[header_bytes + 1 :] for part in payloads)


@given(kind=st.integers(1, 23), importance=st.integers(0, 3), body=BODIES, max_bytes=PACKET_SIZES)
def test_h264_units_survive_the_packets(kind, importance, body, max_bytes):
    nal = bytes([importance << 5 | kind]) + body
    payloads = packetise(nal, "h264", max_bytes)
    assert all(len(part) <= max_bytes for part in payloads)
    assert put_together(payloads, 1) == nal


@given(kind=st.integers(0, 47), second=st.integers(0, 255), body=BODIES, max_bytes=PACKET_SIZES)
def test_h265_units_survive_the_packets(kind, second, body, max_bytes):
    nal = bytes([kind << 1, second]) + body
    payloads = packetise(nal, "hevc", max_bytes)
    assert all(len(part) <= max_bytes for part in payloads)
    assert put_together(payloads, 2) == nal


@given(
    payloads=st.lists(st.binary(min_size=1, max_size=1_400), min_size=1, max_size=8),
    first_seq=st.integers(0, 2**20),
    timestamp_90k=st.integers(0, 2**40),
)
def test_frames_carry_counting_numbers_and_one_marker(payloads, first_seq, timestamp_90k):
    wire = interleave(payloads, channel=2, first_seq=first_seq, timestamp_90k=timestamp_90k, ssrc=7)
    for index, payload in enumerate(payloads):
        magic, channel, size, _, kind, seq, stamp, ssrc = struct.unpack_from(">cBHBBHII", wire)
        assert (magic, channel, ssrc) == (b"$", 2, 7)
        assert seq == (first_seq + index) % 2**16
        assert stamp == timestamp_90k % 2**32
        assert kind >> 7 == (index == len(payloads) - 1)
        assert wire[16 : 4 + size] == payload
        wire = wire[4 + size :]
    assert wire == b""
