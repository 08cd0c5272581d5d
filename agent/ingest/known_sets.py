"""A key frame without what its decoder knows already; before decoding, in the camera worker."""

from __future__ import annotations

from typing import cast

from av.packet import Packet
from av.video.stream import VideoStream

from agent.ingest.nal_units import behind_known_sets

_STORED = 1  # the first byte of avcC and hvcC: such samples have lengths, others start codes


def without_known_sets(packet: Packet[VideoStream]) -> Packet[VideoStream]:
    """Leave the parameter sets out of a key frame that the decoder was opened with.

    libav makes an H.264 set's tables anew whenever it comes, 170 kB each time. Any other set stays.
    """
    context = packet.stream.codec_context
    known = context.extradata
    if not packet.is_keyframe or not known or known[0] != _STORED:
        return packet
    at = behind_known_sets(memoryview(packet), context.name, known)
    if not at:
        return packet
    lean = cast("Packet[VideoStream]", Packet(bytes(memoryview(packet)[at:])))
    lean.stream, lean.time_base = packet.stream, packet.time_base
    lean.pts, lean.dts, lean.is_keyframe = packet.pts, packet.dts, True
    return lean
