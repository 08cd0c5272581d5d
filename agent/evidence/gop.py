"""One GOP in the chain: what is kept of it, and the link that ties it to the one before.

    link(0..n) = SHA-256(tag, link before, run, seq, start, frames, bytes, origin, content)

The link before a run's first GOP is its header's, which holds the last link of the run before.
"""

from __future__ import annotations

import hashlib
import struct
from enum import IntEnum

import msgspec
from msgspec import UNSET, Struct, UnsetType

FIRST_LINK = bytes(32)
_LINK = struct.Struct(">qqqIIB")
_ROW = struct.Struct(">III32s")
_GOP_TAG, _RUN_TAG = b"poleside.gop.v1\0", b"poleside.run.v1\0"


class Origin(IntEnum):
    """When a GOP was hashed."""

    LIVE = 0  # while it was recorded
    RECOVERED = 1  # from the file, after a crash or a disk fault cut its segment short
    EXPORT = 2  # from the file, when the clip was made: its segment was still open


class Gop(Struct, frozen=True, array_like=True):
    """One key frame and what follows until the next. `start_us` is UTC as it was recorded."""

    seq: int
    start_us: int
    frames: int
    size_bytes: int
    content: bytes
    origin: Origin = Origin.LIVE


class RunHeader(Struct, frozen=True, kw_only=True):
    """One unbroken session with a camera, as its chain begins. `parameters` is a SHA-256.

    `stream` is told of a sub stream only, which has a chain of its own.
    """

    box: str
    camera: str
    run: int
    codec: str
    parameters: bytes
    started_us: int
    time_quality: str
    previous: bytes = FIRST_LINK
    stream: str | UnsetType = UNSET

    def link(self) -> bytes:
        """Return what the run's first GOP is tied to."""
        return hashlib.sha256(_RUN_TAG + msgspec.json.encode(self, order="sorted")).digest()


def link(before: bytes, run: int, gop: Gop) -> bytes:
    """Return the chain's head after `gop`."""
    facts = _LINK.pack(run, gop.seq, gop.start_us, gop.frames, gop.size_bytes, gop.origin)
    return hashlib.sha256(_GOP_TAG + before + facts + gop.content).digest()


def pack(gops: list[Gop]) -> bytes:
    """Return a segment's GOPs as the index keeps them: 44 bytes each."""
    start_us = gops[0].start_us
    return b"".join(
        _ROW.pack(max(0, gop.start_us - start_us), gop.frames, gop.size_bytes, gop.content)
        for gop in gops
    )


def unpack(rows: bytes, first_seq: int, start_us: int, origin: Origin) -> list[Gop]:
    """Return the GOPs that `pack` wrote."""
    return [
        Gop(first_seq + number, start_us + offset_us, frames, size_bytes, content, origin)
        for number, (offset_us, frames, size_bytes, content) in enumerate(_ROW.iter_unpack(rows))
    ]
