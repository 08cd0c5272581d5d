"""Hashes the GOPs of a segment file again: after a crash, and for a clip of what is still open."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError

from agent.evidence.frames import GopHash, length_bytes, parameter_digest, tail_digest, units_or_all
from agent.evidence.gop import Gop


def gops_of_file(path: Path, codec: str, parameters: bytes, start_us: int) -> list[Gop]:
    """Return the GOPs of a segment that starts at `start_us` (UTC), numbered from 0.

    A torn end just ends, as it does for a player; no GOP when the file can't be read.
    """
    return [
        Gop(number, start_us + offset_us, made.frames, made.size_bytes, made.digest())
        for number, (offset_us, made) in enumerate(_hashed(path, codec, parameters))
    ]


def frame_digests(path: Path, codec: str, number: int) -> tuple[bytes, ...]:
    """Return the frame digests of a segment's GOP `number`, counted from 0; none if unreadable."""
    for found, (_, made) in enumerate(_hashed(path, codec, b"")):
        if found == number:
            return tuple(made.frame_digests)
    return ()


def tails_of_file(path: Path, codec: str) -> list[bytes]:
    """Return what proves the key frame of each of a segment's GOPs once the rest is gone."""
    return [tail_digest(made.frame_digests[1:]) for _, made in _hashed(path, codec, b"")]


def parameters_of_file(path: Path, codec: str) -> bytes:
    """Return the digest of a segment's parameter sets; that of none when it can't be read."""
    extradata = b""
    try:
        with av.open(path) as container:
            extradata = bytes(container.streams.video[0].codec_context.extradata or b"")
    except (FFmpegError, OSError, IndexError):
        pass
    return parameter_digest(codec, extradata, [])


def _hashed(path: Path, codec: str, parameters: bytes) -> Iterator[tuple[int, GopHash]]:
    """Yield (microseconds into the file, hash) of each GOP as far as the file can be read."""
    hashing: GopHash | None = None
    offset_us = 0
    try:
        with av.open(path) as container:
            stream = container.streams.video[0]
            size = length_bytes(codec, bytes(stream.codec_context.extradata or b""))
            base = Fraction(stream.time_base or 0)
            for packet in container.demux(stream):
                if packet.is_corrupt:
                    break
                if packet.dts is None or not packet.size:
                    continue
                if packet.is_keyframe or hashing is None:
                    if hashing is not None:
                        yield offset_us, hashing
                    hashing = GopHash(codec, parameters, base)
                    offset_us = round(packet.dts * base * 1_000_000)
                pts = packet.pts if packet.pts is not None else packet.dts
                units = units_or_all(bytes(packet), size)
                hashing.add(units, packet.dts, pts, is_key=packet.is_keyframe)
    except (FFmpegError, OSError, IndexError):
        pass  # what was read until here is what the file holds
    if hashing is not None:
        yield offset_us, hashing
