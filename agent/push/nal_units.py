"""NAL units of a packet, whether an RTSP camera's (Annex B) or a file's (length prefixes)."""

import struct
from dataclasses import dataclass
from typing import Literal

CodecName = Literal["h264", "hevc"]

_START = b"\x00\x00\x01"
_SETS = {"h264": (7, 8), "hevc": (32, 33, 34)}
_U16 = struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class Coding:
    """How a stream's packets are made: `length_bytes` 0 for Annex B. `sets` as far as known.

    `record` is the `avcC` or `hvcC` where the stream came with one.
    """

    codec: CodecName
    sets: tuple[bytes, ...]
    length_bytes: int = 0
    record: bytes = b""

    def units(self, packet: bytes) -> list[bytes]:
        """Return the NAL units of a packet."""
        if not self.length_bytes:
            return _annex_b(packet)
        units, at = [], 0
        while at + self.length_bytes < len(packet):
            size_bytes = int.from_bytes(packet[at : at + self.length_bytes], "big")
            at += self.length_bytes
            units.append(packet[at : at + size_bytes])
            at += size_bytes
        return [unit for unit in units if unit]

    def with_sets(self, units: list[bytes]) -> list[bytes]:
        """Put the parameter sets before a key frame that comes without."""
        has_sets = any(kind_of(unit, self.codec) in _SETS[self.codec] for unit in units)
        return units if has_sets else [*self.sets, *units]


def coding_of(codec: str, extradata: bytes) -> Coding:
    """Read what a stream tells of itself: `avcC`/`hvcC` (ISO/IEC 14496-15) or Annex B."""
    name: CodecName = "h264" if codec == "h264" else "hevc"
    if extradata[:1] != b"\x01":
        sets = [unit for unit in _annex_b(extradata) if kind_of(unit, name) in _SETS[name]]
        return Coding(name, tuple(sets))
    if name == "h264":
        sets, end = _read(extradata, 6, extradata[5] & 0x1F)
        pps, _ = _read(extradata, end + 1, extradata[end])
        return Coding(name, (*sets, *pps), (extradata[4] & 0x03) + 1, extradata)
    sets, at = [], 23
    for _ in range(extradata[22]):
        found, at = _read(extradata, at + 3, _U16.unpack_from(extradata, at + 1)[0])
        sets += [unit for unit in found if kind_of(unit, name) in _SETS[name]]
    return Coding(name, tuple(sets), (extradata[21] & 0x03) + 1, extradata)


def kind_of(unit: bytes, codec: CodecName) -> int:
    """Return the unit's type (H.264 table 7-1, H.265 table 7-1)."""
    return unit[0] & 0x1F if codec == "h264" else (unit[0] >> 1) & 0x3F


def _annex_b(data: bytes) -> list[bytes]:
    # A unit never ends in zero: what is there belongs to the next start code.
    parts = (part.rstrip(b"\x00") for part in data.split(_START)[1:])
    return [part for part in parts if part]


def _read(box: bytes, at: int, count: int) -> tuple[list[bytes], int]:
    found = []
    for _ in range(count):
        (size_bytes,) = _U16.unpack_from(box, at)
        found.append(box[at + 2 : at + 2 + size_bytes])
        at += 2 + size_bytes
    return found, at
