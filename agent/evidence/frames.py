"""What is hashed of a frame: its NAL units, key flag and times, whatever container they are in.

A camera's packets carry start codes (ITU-T H.264 Annex B), an MP4 sample length prefixes
(ISO/IEC 14496-15); the units between them are the same bytes, and those are what is hashed.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from fractions import Fraction

_START_CODE = b"\0\0\1"
_RECORD_VERSION = 1  # the first byte of avcC and hvcC; Annex B begins with 0
_AVCC_HEAD_BYTES, _HVCC_HEAD_BYTES = 6, 23
_PARAMETER_TYPES = {"h264": (7, 8), "hevc": (32, 33, 34)}  # SPS, PPS; VPS, SPS, PPS
_FRAME = struct.Struct(">qqBI")
_FRESH = hashlib.sha256()
_UNIT = struct.Struct(">I")
_GOP_TAG = b"poleside.frames.v1\0"

Bytes = bytes | memoryview


def nal_units(data: Bytes, length_bytes: int) -> list[Bytes]:
    """Return the NAL units of one frame; `length_bytes` is 0 for Annex B.

    Zeros behind a unit belong to the byte stream, not to the unit (H.264 section B.1); what is
    ahead of the first start code is no unit, as for MP4 muxers. Raises `ValueError` when lengths
    do not add up.
    """
    if length_bytes:
        return [unit for piece in _prefixed(data, length_bytes) if (unit := _without_zeros(piece))]
    pieces = bytes(data).split(_START_CODE)[1:]
    return [unit for piece in pieces if (unit := piece.rstrip(b"\0"))]


def units_or_all(data: Bytes, length_bytes: int) -> list[Bytes]:
    """Return the NAL units of one frame, or all of it as one when it is garbled."""
    try:
        return nal_units(data, length_bytes)
    except ValueError:
        return [data]


def length_bytes(codec: str, extradata: bytes) -> int:
    """Return how long the length prefixes of a stream's samples are, 0 when it has start codes."""
    if not extradata or extradata[0] != _RECORD_VERSION:
        return 0
    at = 4 if codec == "h264" else 21
    return (extradata[at] & 3) + 1 if len(extradata) > at else 0


def parameter_digest(codec: str, extradata: bytes, first_frame: Sequence[Bytes]) -> bytes:
    """Return the SHA-256 of the parameter sets a decoder starts with, in the order of their types.

    Those of `extradata` (Annex B, avcC or hvcC), or of the first frame when it has none.
    """
    units = _units_of(codec, extradata)
    wanted = _PARAMETER_TYPES[codec]
    sets = [unit for unit in units if _type_of(codec, unit) in wanted]
    sets = sets or [unit for unit in first_frame if _type_of(codec, unit) in wanted]
    digest = hashlib.sha256(codec.encode())
    for unit in sorted(sets, key=lambda unit: _type_of(codec, unit)):
        digest.update(_UNIT.pack(len(unit)) + unit)
    return digest.digest()


class GopHash:
    """Hashes one GOP: a digest of each frame's times and units, and one over those digests.

        content = SHA-256(tag, codec, parameters, key frame, SHA-256(all other frames))

    So a clip may end inside a GOP and still be checked, given the digests of the frames left out;
    and of a GOP thinned to its key frame, 32 bytes prove that it was in it.
    """

    def __init__(self, codec: str, parameters: bytes, time_base: Fraction) -> None:
        self._head = _GOP_TAG + codec.encode() + b"\0" + parameters
        self._tick_us = time_base.numerator * 1_000_000, time_base.denominator  # of a fraction
        self._first_dts = 0
        self.frame_digests: list[bytes] = []
        self.size_bytes = 0

    @property
    def frames(self) -> int:
        return len(self.frame_digests)

    def add(self, units: Sequence[Bytes], dts: int, pts: int, *, is_key: bool) -> None:
        """Take the next frame in decoding order; `dts`, `pts` in ticks of the time base."""
        frame = self._begun(dts, pts, len(units), is_key=is_key)
        for unit in units:
            frame.update(_UNIT.pack(len(unit)))
            frame.update(unit)
            self.size_bytes += len(unit)
        self.frame_digests.append(frame.digest())

    def add_sample(
        self, data: memoryview, length_bytes: int, dts: int, pts: int, *, is_key: bool
    ) -> None:
        """Take the next frame as it is stored; garbled, it counts as one unit."""
        count = _stored_as_hashed(data) if length_bytes == _UNIT.size else 0
        if not count:
            self.add(units_or_all(data, length_bytes), dts, pts, is_key=is_key)
            return
        frame = self._begun(dts, pts, count, is_key=is_key)
        frame.update(data)
        self.size_bytes += len(data) - count * _UNIT.size
        self.frame_digests.append(frame.digest())

    def _begun(self, dts: int, pts: int, units: int, *, is_key: bool) -> hashlib._Hash:
        if not self.frame_digests:
            self._first_dts = dts
        times = self._us(dts - self._first_dts), self._us(pts - dts)
        frame = _FRESH.copy()  # half of what asking for the algorithm anew costs
        frame.update(_FRAME.pack(*times, is_key, units))
        return frame

    def digest(self, rest: Sequence[bytes] = ()) -> bytes:
        """Return the content hash; `rest` are the digests of frames behind those added."""
        return self.digest_with(tail_digest([*self.frame_digests[1:], *rest]))

    def digest_with(self, tail: bytes) -> bytes:
        """Return the content hash of the key frame and a `tail_digest` of what followed it."""
        return hashlib.sha256(self._head + self.frame_digests[0] + tail).digest()

    def _us(self, ticks: int) -> int:
        numerator, denominator = self._tick_us
        return ticks * numerator // denominator


def tail_digest(frames: Sequence[bytes]) -> bytes:
    """Return the one digest of a GOP's frames behind its key frame."""
    return hashlib.sha256(b"".join(frames)).digest()


def _stored_as_hashed(data: memoryview) -> int:
    """Return how many units a sample with lengths of four bytes has; 0: not all as they are hashed.

    What is hashed of a unit is its length in four bytes and the unit, and so it mostly lies there.
    """
    count, at, end = 0, 0, len(data)
    while at < end:
        at += _UNIT.size + int.from_bytes(data[at : at + _UNIT.size])
        if at > end or not data[at - 1]:
            return 0
        count += 1
    return count


def _without_zeros(unit: Bytes) -> Bytes:
    return unit if unit and unit[-1] else bytes(unit).rstrip(b"\0")


def _prefixed(data: Bytes, size: int) -> list[Bytes]:
    units, at = [], 0
    while at < len(data):
        end = at + size + int.from_bytes(data[at : at + size])
        if end > len(data):
            raise ValueError("a NAL unit is longer than its sample")
        units.append(data[at + size : end])
        at = end
    return units


def _units_of(codec: str, extradata: bytes) -> Sequence[Bytes]:
    if not extradata or extradata[0] != _RECORD_VERSION:
        return nal_units(extradata, 0)
    try:
        units = _avcc_units(extradata) if codec == "h264" else _hvcc_units(extradata)
    except (IndexError, struct.error):
        return []
    return [unit.rstrip(b"\0") for unit in units]


def _avcc_units(record: bytes) -> list[bytes]:
    """ISO/IEC 14496-15 section 5.3.3.1: a count and the SPSs, a count and the PPSs."""
    units, at = [], _AVCC_HEAD_BYTES
    count = record[5] & 31
    for _ in range(2):
        for _ in range(count):
            (size,) = struct.unpack_from(">H", record, at)
            units.append(record[at + 2 : at + 2 + size])
            at += 2 + size
        count = record[at] if at < len(record) else 0
        at += 1
    return units


def _hvcc_units(record: bytes) -> list[bytes]:
    """ISO/IEC 14496-15 section 8.3.3.1: arrays by type, each a count and its units."""
    units, at = [], _HVCC_HEAD_BYTES
    for _ in range(record[22]):
        (count,) = struct.unpack_from(">H", record, at + 1)
        at += 3
        for _ in range(count):
            (size,) = struct.unpack_from(">H", record, at)
            units.append(record[at + 2 : at + 2 + size])
            at += 2 + size
    return units


def _type_of(codec: str, unit: Bytes) -> int:
    if not unit:
        return -1
    return unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63
