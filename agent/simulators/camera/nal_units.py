"""NAL units as MP4 stores them: parameter sets in the codec's box, slices with length prefixes.

`avcC` and `hvcC` follow ISO/IEC 14496-15 (5.3.3.1 and 8.3.3.1). Pure functions of bytes; the
simulated camera uses them when it reads its footage.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

CodecName = Literal["h264", "hevc"]

# Ours, so that whoever finds the user data knows whose it is (ITU-T H.264 D.2.7).
USER_DATA_UUID = bytes.fromhex("706f6c657369646573696d756c617465")

_USER_DATA_UNREGISTERED = 5

_U16 = struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class ParameterSets:
    """What a decoder must know before the first picture. `vps` is there for H.265 only."""

    vps: tuple[bytes, ...]
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]
    length_bytes: int

    def all(self) -> tuple[bytes, ...]:
        """Return every set in the order a decoder wants them."""
        return self.vps + self.sps + self.pps


def read_avcc(box: bytes) -> ParameterSets:
    """Read H.264 parameter sets from an `avcC` box."""
    sps, end = _read_sets(box, 6, box[5] & 0x1F)
    pps, _ = _read_sets(box, end + 1, box[end])
    return ParameterSets((), sps, pps, (box[4] & 0x03) + 1)


def read_hvcc(box: bytes) -> ParameterSets:
    """Read H.265 parameter sets from an `hvcC` box."""
    found: dict[int, tuple[bytes, ...]] = {}
    at = 23
    for _ in range(box[22]):
        kind, (count,) = box[at] & 0x3F, _U16.unpack_from(box, at + 1)
        found[kind], at = _read_sets(box, at + 3, count)
    return ParameterSets(found[32], found[33], found[34], (box[21] & 0x03) + 1)


def split_sample(sample: bytes, length_bytes: int) -> Iterator[bytes]:
    """Yield the NAL units of one MP4 sample, without their length prefixes."""
    at = 0
    while at + length_bytes < len(sample):
        size_bytes = int.from_bytes(sample[at : at + length_bytes], "big")
        at += length_bytes
        yield sample[at : at + size_bytes]
        at += size_bytes


def user_data_sei(payload: bytes, codec: CodecName) -> bytes:
    """Return an SEI NAL unit with unregistered user data (H.264 7.3.2.3 and D.1.7, H.265 alike)."""
    body = USER_DATA_UUID + payload
    size = b"\xff" * (len(body) // 255) + bytes([len(body) % 255])
    message = bytes([_USER_DATA_UNREGISTERED]) + size + body + b"\x80"  # and the stop bit
    header = b"\x06" if codec == "h264" else bytes([39 << 1, 1])
    return header + _escape(message)


def _escape(raw: bytes) -> bytes:
    """Keep start codes out of a NAL unit (H.264 7.4.1: emulation prevention)."""
    out, zeros = bytearray(), 0
    for byte in raw:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def is_parameter_set(nal: bytes, codec: CodecName) -> bool:
    """Say whether `nal` is a VPS, SPS or PPS (H.264 table 7-1, H.265 table 7-1)."""
    if codec == "h264":
        return nal[0] & 0x1F in (7, 8)
    return (nal[0] >> 1) & 0x3F in (32, 33, 34)


def _read_sets(box: bytes, at: int, count: int) -> tuple[tuple[bytes, ...], int]:
    sets = []
    for _ in range(count):
        (size_bytes,) = _U16.unpack_from(box, at)
        sets.append(box[at + 2 : at + 2 + size_bytes])
        at += 2 + size_bytes
    return tuple(sets), at
