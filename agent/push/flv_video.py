"""Pictures as FLV's video tags, which RTMP carries (Adobe, "Video File Format 10.1", E.4.3).

H.265 as "Enhanced RTMP" has it (Veovera, version 1), with its FourCC.
"""

import struct

from agent.push.nal_units import Coding, kind_of

HEVC = b"hvc1"
AVC_ID = 7
_KEY, _INTER, _ENHANCED = 1, 2, 8
_SEQUENCE, _NALUS = 0, 1
_VPS, _SPS, _PPS = 32, 33, 34


def description(coding: Coding) -> bytes:
    """Return the tag that must come before all pictures. Raises `ValueError` without the sets."""
    if coding.codec == "h264":
        return bytes([_KEY << 4 | AVC_ID, _SEQUENCE, 0, 0, 0]) + _avcc(coding)
    return bytes([(_ENHANCED | _KEY) << 4 | _SEQUENCE]) + HEVC + _hvcc(coding)


def picture(coding: Coding, units: list[bytes], *, is_key: bool, lead_ms: int) -> bytes:
    """Return a picture's tag; `lead_ms` is by how much it is shown after it is decoded."""
    kind = _KEY if is_key else _INTER
    if coding.codec == "h264":
        head = bytes([kind << 4 | AVC_ID, _NALUS])
    else:
        head = bytes([(_ENHANCED | kind) << 4 | _NALUS]) + HEVC
    lead = struct.pack(">i", lead_ms)[1:]
    return head + lead + b"".join(len(unit).to_bytes(4) + unit for unit in units)


def _avcc(coding: Coding) -> bytes:
    """ISO/IEC 14496-15, 5.3.3.1; pictures are told with lengths of four bytes."""
    sps = [unit for unit in coding.sets if kind_of(unit, "h264") == 7]
    pps = [unit for unit in coding.sets if kind_of(unit, "h264") == 8]
    if not sps or not pps:
        raise ValueError("no parameter sets")
    head = b"\x01" + sps[0][1:4] + bytes([0xFF, 0xE0 | len(sps)])
    return head + _sized(sps) + bytes([len(pps)]) + _sized(pps)


def _hvcc(coding: Coding) -> bytes:
    """ISO/IEC 14496-15, 8.3.3.1. What only the sets themselves tell for sure is 8 bit, 4:2:0."""
    if coding.record:
        return coding.record[:21] + bytes([coding.record[21] | 3]) + coding.record[22:]
    by_kind = {
        kind: [unit for unit in coding.sets if kind_of(unit, "hevc") == kind]
        for kind in (_VPS, _SPS, _PPS)
    }
    if not all(by_kind.values()):
        raise ValueError("no parameter sets")
    sps = by_kind[_SPS][0].replace(b"\0\0\3", b"\0\0")
    levels, is_nested = (sps[2] >> 1 & 7) + 1, sps[2] & 1
    head = b"\x01" + sps[3:15] + b"\xf0\x00\xfc\xfd\xf8\xf8\0\0"
    head += bytes([levels << 3 | is_nested << 2 | 3, len(by_kind)])
    arrays = (
        bytes([0x80 | kind]) + len(units).to_bytes(2) + _sized(units)
        for kind, units in by_kind.items()
    )
    return head + b"".join(arrays)


def _sized(units: list[bytes]) -> bytes:
    return b"".join(len(unit).to_bytes(2) + unit for unit in units)
