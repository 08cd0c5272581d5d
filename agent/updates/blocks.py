"""Which blocks of a bundle the box has already: an index of short digests, 4 KiB a block.

The center lays `BUNDLE.blocks` beside a bundle. A box that kept the bundle before finds in it most
of the new one: an EROFS root moves little, and the bundle packs nothing again. Digests are cut to
eight bytes, since they only save bytes: the whole bundle's SHA-256 decides, then RAUC's signature.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

BLOCK_BYTES = 4096
SUFFIX = ".blocks"
_DIGEST_BYTES = 8
_HEAD = struct.Struct("<8sIQ")  # magic, bytes of a block, bytes of the file
_MAGIC = b"PSBLOCK1"
_JOIN_BLOCKS = 4  # blocks at hand between two ranges: asking twice costs as much


@dataclass(frozen=True, slots=True)
class BlockIndex:
    """`digests[k]` is of bytes k * 4096 on; the last block may be shorter."""

    size_bytes: int
    digests: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` up to `end` (not included) of the new bundle."""

    start: int
    end: int


def digests_of(file: BinaryIO) -> Iterator[bytes]:
    """Yield the digest of each block from the beginning."""
    while block := file.read(BLOCK_BYTES):
        yield digest_of(block)


def digest_of(block: bytes) -> bytes:
    """Return the first eight bytes of the block's SHA-256."""
    return hashlib.sha256(block).digest()[:_DIGEST_BYTES]


def index_of(path: Path) -> bytes:
    """Return the index of a bundle, as the center lays it beside it. Raises `OSError`."""
    with path.open("rb") as file:
        return _HEAD.pack(_MAGIC, BLOCK_BYTES, path.stat().st_size) + b"".join(digests_of(file))


def read_index(data: bytes, of_bytes: int) -> BlockIndex:
    """Return the index of a bundle of `of_bytes`, read from its bytes. Raises `ValueError`."""
    try:
        magic, block_bytes, size_bytes = _HEAD.unpack_from(data)
    except struct.error:
        magic, block_bytes, size_bytes = b"", 0, 0
    body = data[_HEAD.size :]
    count = -(-size_bytes // BLOCK_BYTES)
    if magic != _MAGIC or block_bytes != BLOCK_BYTES or len(body) != count * _DIGEST_BYTES:
        raise ValueError("it is no list of blocks")
    if size_bytes != of_bytes:
        raise ValueError("it belongs to another bundle")
    return BlockIndex(
        size_bytes,
        tuple(body[at : at + _DIGEST_BYTES] for at in range(0, len(body), _DIGEST_BYTES)),
    )


def length_of(index: BlockIndex) -> int:
    """Return how many bytes the index itself has, for the budget."""
    return _HEAD.size + len(index.digests) * _DIGEST_BYTES


def missing(index: BlockIndex, target: Path) -> list[Span]:
    """Return what `target` has not yet, joined to spans worth a request each. Raises `OSError`.

    What it has is proven by its digests, so that a fetch which a power cut ended goes on.
    """
    wanted: list[int] = []
    with target.open("rb") as file:
        have = list(digests_of(file))
    for number, digest in enumerate(index.digests):
        if number >= len(have) or have[number] != digest:
            wanted.append(number)
    spans: list[Span] = []
    for number in wanted:
        start = number * BLOCK_BYTES
        end = min(start + BLOCK_BYTES, index.size_bytes)
        if spans and start - spans[-1].end <= _JOIN_BLOCKS * BLOCK_BYTES:
            spans[-1] = Span(spans[-1].start, end)
        else:
            spans.append(Span(start, end))
    return spans


def take_over(index: BlockIndex, kept: Path, target: Path) -> int:
    """Copy into `target` what the bundle kept from before has of it; return the bytes copied.

    `target` gets the full size, with holes where blocks are missing. Raises `OSError`.
    """
    with kept.open("rb") as old:
        at_hand = {digest: number for number, digest in enumerate(digests_of(old))}
        copied = 0
        with target.open("r+b" if target.exists() else "w+b") as new:
            new.truncate(index.size_bytes)
            present = list(digests_of(new))
            for number, digest in enumerate(index.digests):
                source = at_hand.get(digest)
                if present[number] == digest or source is None:
                    continue
                old.seek(source * BLOCK_BYTES)
                new.seek(number * BLOCK_BYTES)
                copied += new.write(old.read(BLOCK_BYTES))
    return copied
