"""JPEG pictures as an RTP track: RFC 2435, with the quantisation tables in band.

The pictures must be baseline with the standard Huffman tables (RFC 2435 appendix B), 4:2:0, and
their sides multiples of eight.
"""

import secrets
import struct

from agent.push.rtp import CLOCK_HZ, MAX_PAYLOAD_BYTES, interleave

PAYLOAD_TYPE = 26
_TYPE_420, _DYNAMIC_Q = 1, 255
_DQT, _SOF0, _SOS = 0xDB, 0xC0, 0xDA
_U16 = struct.Struct(">H")


class JpegTrack:
    """One connection's track."""

    def __init__(self) -> None:
        self._ssrc, self._seq = secrets.randbits(32), secrets.randbits(16)
        self._offset = secrets.randbits(32)

    @property
    def sdp(self) -> tuple[str, ...]:
        """The lines of its media description (RFC 3551: 26 is static)."""
        return (f"m=video 0 RTP/AVP {PAYLOAD_TYPE}", f"a=rtpmap:{PAYLOAD_TYPE} JPEG/{CLOCK_HZ}")

    def packets(self, jpeg: bytes, at_s: float) -> bytes:
        """Return one picture ready for the TCP connection."""
        payloads = _payloads(jpeg)
        data = interleave(
            payloads,
            channel=0,
            first_seq=self._seq,
            timestamp_90k=self._offset + int(at_s * CLOCK_HZ),
            ssrc=self._ssrc,
            payload_type=PAYLOAD_TYPE,
        )
        self._seq += len(payloads)
        return data


def _payloads(jpeg: bytes) -> list[bytes]:
    """Cut a picture (RFC 2435 section 3.1). Raises `ValueError` for one that is no such JPEG."""
    width, height, tables, scan = _parsed(jpeg)
    quantisation = struct.pack(">BBH", 0, 0, len(tables)) + tables
    payloads, at = [], 0
    while at < len(scan):
        head = struct.pack(">I", at & 0xFFFFFF) + bytes(
            [_TYPE_420, _DYNAMIC_Q, width // 8, height // 8]
        )
        if at == 0:
            head += quantisation
        part = scan[at : at + MAX_PAYLOAD_BYTES - len(head)]
        payloads.append(head + part)
        at += len(part)
    return payloads


def _parsed(jpeg: bytes) -> tuple[int, int, bytes, bytes]:
    """Return (width, height, both quantisation tables, entropy-coded data) of a JPEG (T.81)."""
    at, width, height, tables = 2, 0, 0, {}
    while at + 4 <= len(jpeg):
        marker, (size,) = jpeg[at + 1], _U16.unpack_from(jpeg, at + 2)
        body = jpeg[at + 4 : at + 2 + size]
        at += 2 + size
        if marker == _DQT:
            for start in range(0, len(body), 65):
                tables[body[start] & 15] = body[start + 1 : start + 65]
        elif marker == _SOF0:
            height, width = _U16.unpack_from(body, 1)[0], _U16.unpack_from(body, 3)[0]
        elif marker == _SOS:
            end = jpeg.rfind(b"\xff\xd9")
            luma = tables[0]
            return width, height, luma + tables.get(1, luma), jpeg[at : end if end > at else None]
    raise ValueError("no baseline JPEG")
