"""A decoder is not given again what it was opened with, and sees the same pictures."""

import io
from itertools import chain

import av
import numpy as np
import pytest
from av.packet import Packet

from agent.ingest.known_sets import without_known_sets

DELIMITER = b"\x00\x00\x00\x02\x09\x10"


def film(codec: str) -> bytes:
    written = io.BytesIO()
    with av.open(written, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=5, options={"g": "3", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(7):
            picture = np.full((48, 64, 3), number * 30, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return written.getvalue()


def h264_sets(extradata: bytes) -> list[bytes]:
    """Take the one SPS and the one PPS out of an avcC (ISO/IEC 14496-15 section 5.3.3.1)."""
    sps_end = 8 + int.from_bytes(extradata[6:8], "big")
    pps = extradata[sps_end + 3 :]
    return [
        extradata[8:sps_end],
        pps[: int.from_bytes(extradata[sps_end + 1 : sps_end + 3], "big")],
    ]


def with_front(packet: Packet, units: list[bytes]) -> Packet:
    front = b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)
    whole = Packet(DELIMITER + front + bytes(packet))
    whole.stream, whole.time_base = packet.stream, packet.time_base
    whole.pts, whole.dts, whole.is_keyframe = packet.pts, packet.dts, packet.is_keyframe
    return whole


def test_known_sets_are_left_out_and_the_pictures_stay_the_same():
    written = film("libx264")
    with av.open(io.BytesIO(written)) as container:
        expected = [frame.to_ndarray() for frame in container.decode(video=0)]
    with av.open(io.BytesIO(written)) as container:
        stream = container.streams.video[0]
        sets, seen, lean_keys = h264_sets(bytes(stream.codec_context.extradata)), [], 0
        for packet in container.demux(stream):
            if not packet.size:
                seen.append(packet.decode())
                continue
            as_sent = with_front(packet, sets) if packet.is_keyframe else packet
            lean = without_known_sets(as_sent)
            lean_keys += packet.is_keyframe
            assert bytes(lean) == bytes(packet)
            assert (lean.pts, lean.dts, lean.time_base) == (
                packet.pts,
                packet.dts,
                packet.time_base,
            )
            seen.append(lean.decode())
    pictures = [frame.to_ndarray() for frame in chain(*seen)]
    assert lean_keys > 1
    assert len(pictures) == len(expected)
    assert all(np.array_equal(*pair) for pair in zip(pictures, expected, strict=True))


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_packet_without_sets_or_with_another_set_stays_as_it_is(codec):
    with av.open(io.BytesIO(film(codec))) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        for packet in packets:
            assert bytes(without_known_sets(packet)) == bytes(packet)
        key = next(packet for packet in packets if packet.is_keyframe)
        another = {"libx264": b"\x67another", "libx265": b"\x42\x01another"}[codec]
        as_sent = with_front(key, [another])
        assert without_known_sets(as_sent) is as_sent


def test_sets_alone_are_never_made_an_empty_packet_which_would_end_the_decoder():
    with av.open(io.BytesIO(film("libx264"))) as container:
        stream = container.streams.video[0]
        key = next(packet for packet in container.demux(stream) if packet.is_keyframe)
        whole = with_front(key, h264_sets(bytes(stream.codec_context.extradata)))
        alone = Packet(bytes(whole)[: whole.size - key.size])
        alone.stream, alone.is_keyframe = stream, True
        assert without_known_sets(alone) is alone
