"""RTP on the wire: NAL units into payloads, payloads into interleaved packets, sender reports.

H.264 as RFC 6184 (single NAL unit and FU-A, packetization-mode 1), H.265 as RFC 7798 (single NAL
unit and FU), RTP and RTCP as RFC 3550, "$" framing over TCP as RFC 2326 section 10.12.
"""

import struct
from collections.abc import Sequence
from datetime import datetime

from agent.push.nal_units import CodecName

PAYLOAD_TYPE = 96
CLOCK_HZ = 90_000
MAX_PAYLOAD_BYTES = 1_400  # what cameras use, so that a packet fits into one Ethernet frame

_FRAME_AND_HEADER = struct.Struct(">cBHBBHII")
_SENDER_REPORT = struct.Struct(">cBHBBHIIIIII")
_RTP_HEADER_BYTES = 12
_NTP_EPOCH_S = 2_208_988_800  # 1900-01-01 to 1970-01-01
_H264_FU_A, _H265_FU = 28, 49
_START, _END = 0x80, 0x40


def packetise(nal: bytes, codec: CodecName, max_bytes: int = MAX_PAYLOAD_BYTES) -> list[bytes]:
    """Cut one NAL unit into RTP payloads of at most `max_bytes` each."""
    if len(nal) <= max_bytes:
        return [nal]
    if codec == "h264":  # RFC 6184 section 5.8: FU indicator, FU header
        prefix, kind, body = bytes([nal[0] & 0xE0 | _H264_FU_A]), nal[0] & 0x1F, nal[1:]
    else:  # RFC 7798 section 4.4.3: payload header with type 49, FU header
        prefix = bytes([nal[0] & 0x81 | _H265_FU << 1, nal[1]])
        kind, body = (nal[0] >> 1) & 0x3F, nal[2:]
    step = max_bytes - len(prefix) - 1
    payloads = []
    for at in range(0, len(body), step):
        flags = (_START if at == 0 else 0) | (_END if at + step >= len(body) else 0)
        payloads.append(prefix + bytes([flags | kind]) + body[at : at + step])
    return payloads


def interleave(
    payloads: Sequence[bytes],
    *,
    channel: int,
    first_seq: int,
    timestamp_90k: int,
    ssrc: int,
    payload_type: int = PAYLOAD_TYPE,
) -> bytes:
    """Return one picture ready for the TCP connection; its last packet carries the marker."""
    parts: list[bytes] = []
    last = len(payloads) - 1
    for index, payload in enumerate(payloads):
        marker = 0x80 if index == last else 0
        parts.append(
            _FRAME_AND_HEADER.pack(
                b"$",
                channel,
                _RTP_HEADER_BYTES + len(payload),
                0x80,
                marker | payload_type,
                (first_seq + index) & 0xFFFF,
                timestamp_90k & 0xFFFFFFFF,
                ssrc,
            )
        )
        parts.append(payload)
    return b"".join(parts)


def sound_packet(
    channel: int, payload_type: int, seq: int, timestamp: int, ssrc: int, payload: bytes
) -> bytes:
    """Return one packet of a sound track, whose time stamps run in its own samples."""
    header = _FRAME_AND_HEADER.pack(
        b"$",
        channel,
        _RTP_HEADER_BYTES + len(payload),
        0x80,
        0x80 | payload_type,
        seq & 0xFFFF,
        timestamp & 0xFFFFFFFF,
        ssrc,
    )
    return header + payload


def sender_report(
    now: datetime, *, channel: int, timestamp_90k: int, ssrc: int, packets: int, octets: int
) -> bytes:
    """Return an RTCP sender report (RFC 3550 section 6.4.1) that ties `timestamp_90k` to `now`."""
    seconds = now.timestamp() + _NTP_EPOCH_S
    return _SENDER_REPORT.pack(
        b"$",
        channel,
        28,
        0x80,
        200,
        6,
        ssrc,
        int(seconds) & 0xFFFFFFFF,
        int(seconds % 1 * 2**32),
        timestamp_90k & 0xFFFFFFFF,
        packets & 0xFFFFFFFF,
        octets & 0xFFFFFFFF,
    )
