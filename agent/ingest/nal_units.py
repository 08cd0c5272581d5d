"""A look at the NAL units of a packet as RTP delivers them: what must not change in a run.

Annex B (start codes) unless MP4's form is said; parameter sets come before the first slice.

H.264 types are of table 7-1 of ITU-T H.264, H.265 types of table 7-1 of ITU-T H.265.
"""

from collections.abc import Callable, Iterator

_START = b"\x00\x00\x01"
_LENGTH_BYTES = 4
_HEAD_BYTES = 4096  # parameter sets stand before the first slice

_SETS = {"h264": frozenset({7}), "hevc": frozenset({32, 33})}
_ALL_SETS = {"h264": frozenset({7, 8}), "hevc": frozenset({32, 33, 34})}
_DELIMITERS = {"h264": 9, "hevc": 35}
_SLICES = {"h264": frozenset(range(1, 6)), "hevc": frozenset(range(32))}
# Slices of pictures, parameter sets, SEI, delimiters: what a camera's encoder makes. The rest is
# reserved, or scalable and three-dimensional video that no decoder here knows.
KNOWN_KINDS = {
    "h264": frozenset({1, 5, 6, 7, 8, 9, 10, 11, 12, 13}),
    "hevc": frozenset({*range(10), *range(16, 22), *range(32, 41)}),
}


def kind_of(nal: bytes, codec: str) -> int:
    """Return the NAL unit's type; -1 when its header breaks the codec's rules."""
    if not nal or nal[0] & 0x80:
        return -1
    if codec == "h264":
        return nal[0] & 0x1F
    if len(nal) < 2 or nal[1] & 0x07 == 0:  # nuh_temporal_id_plus1 is never 0
        return -1
    return (nal[0] >> 1) & 0x3F


def is_of(head: bytes, codec: str) -> bool:
    """Say whether the first NAL unit of an Annex B packet is one that `codec` knows."""
    if not head.startswith((_START, b"\x00" + _START)):
        return True
    at = head.find(_START) + 3
    first = head[at : at + 2]
    return not first or kind_of(first, codec) in KNOWN_KINDS[codec]


def sequence_sets(packet: memoryview, codec: str) -> bytes:
    """Return the sequence (and video) parameter sets before the first slice, b"" without any.

    They tell size, profile and depth: when they change, the rest is another video.
    """
    return b"".join(nal for _, nal in _before_slices(packet, codec, _SETS[codec], split))


def parameter_sets(packet: memoryview, codec: str, *, is_stored: bool = False) -> list[bytes]:
    """Return all parameter sets before the first slice; none where a kind is missing.

    `is_stored`: of a sample as MP4 stores it.
    """
    units = whole_units if is_stored else split
    found = list(_before_slices(packet, codec, _ALL_SETS[codec], units))
    is_whole = {kind for kind, _ in found} == _ALL_SETS[codec]
    return [nal for _, nal in found] if is_whole else []


def _before_slices(
    packet: memoryview,
    codec: str,
    kinds: frozenset[int],
    units: Callable[[bytes], Iterator[bytes]],
) -> Iterator[tuple[int, bytes]]:
    for nal in units(bytes(packet[:_HEAD_BYTES])):
        kind = kind_of(nal, codec)
        if kind in kinds:
            yield kind, nal.rstrip(b"\x00")
        elif kind in _SLICES[codec]:
            return


def split(head: bytes) -> Iterator[bytes]:
    """Yield the NAL units of Annex B bytes; nothing where MP4's length prefixes are used."""
    if not head.startswith((_START, b"\x00" + _START)):
        return
    at = head.find(_START) + 3
    while at < len(head):
        end = head.find(_START, at)
        yield head[at : end if end >= 0 else len(head)]
        if end < 0:
            return
        at = end + 3


def whole_units(sample: bytes) -> Iterator[bytes]:
    """Yield the NAL units of a sample as MP4 stores it; the last one may be cut short."""
    at = 0
    while at + _LENGTH_BYTES < len(sample):
        end = at + _LENGTH_BYTES + int.from_bytes(sample[at : at + _LENGTH_BYTES], "big")
        yield sample[at + _LENGTH_BYTES : end]
        at = end


def behind_known_sets(sample: memoryview, codec: str, known: bytes) -> int:
    """Return where a sample as MP4 stores it goes on behind its leading sets and delimiter.

    0 where it holds a set that is not in `known`, or nothing else.
    """
    head, at = bytes(sample[:_HEAD_BYTES]), 0
    for nal in whole_units(head):
        kind = kind_of(nal, codec)
        if kind != _DELIMITERS[codec] and kind not in _ALL_SETS[codec]:
            return at
        if kind in _ALL_SETS[codec] and nal not in known:
            return 0
        at += _LENGTH_BYTES + len(nal)
    return 0
