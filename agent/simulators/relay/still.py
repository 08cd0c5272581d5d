"""A picture of what arrives at the relay: its present GOP decoded, as a JPEG."""

from typing import Literal

import av

from agent.ingest.jpeg import encode_jpeg
from agent.simulators.relay.publication import Publication

_WIDTH_PX, _MOST_BYTES = 640, 120_000
_HEADERS_BYTES = 16  # "$", channel and length, then the RTP header
_H264_FU, _H265_FU = 28, 49
_START_CODE = b"\x00\x00\x00\x01"


def still(publication: Publication) -> bytes | None:
    """Return the newest picture; None before a whole key frame came. Decodes: call in a thread."""
    codec: Literal["h264", "hevc"] = "h264" if "H264" in publication.sdp else "hevc"
    context = av.CodecContext.create(codec, "r")
    newest = None
    try:
        for picture in _pictures(tuple(publication.gop), codec):
            for frame in context.decode(av.Packet(picture)):
                newest = frame
        for frame in context.decode(None):
            newest = frame
    except av.FFmpegError:
        pass  # what was whole before it is shown
    return None if newest is None else encode_jpeg(newest, _WIDTH_PX, _MOST_BYTES)[0]


def _pictures(frames: tuple[bytes, ...], codec: Literal["h264", "hevc"]) -> list[bytes]:
    """Return the access units of a GOP's RTP packets, in Annex B (RFC 6184, RFC 7798)."""
    pictures, unit = [], bytearray()
    for frame in frames:
        unit += _nal(frame[_HEADERS_BYTES:], codec)
        if frame[5] & 0x80:  # the marker: the picture is whole
            pictures.append(bytes(unit))
            unit.clear()
    return pictures


def _nal(payload: bytes, codec: Literal["h264", "hevc"]) -> bytes:
    if codec == "h264":
        if payload[0] & 0x1F != _H264_FU:
            return _START_CODE + payload
        header, flags, body = (
            bytes([payload[0] & 0xE0 | payload[1] & 0x1F]),
            payload[1],
            payload[2:],
        )
    else:
        if (payload[0] >> 1) & 0x3F != _H265_FU:
            return _START_CODE + payload
        kind = payload[2] & 0x3F
        header, flags = bytes([payload[0] & 0x81 | kind << 1, payload[1]]), payload[2]
        body = payload[3:]
    return _START_CODE + header + body if flags & 0x80 else body
