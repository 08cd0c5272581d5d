"""Reads an exported MP4 sample by sample, strictly (ISO/IEC 14496-12), without any media library.

Only what the exporter writes is understood: one video track, one `mdat`, sample tables, no
fragments. Whatever else could make a player show something different is listed as an oddity.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from uuid import UUID

from agent.core.errors import StorageError

SEAL_ID = UUID("5d0c2d35-97a1-4a6e-8f0b-3a1e6f7b9c42").bytes
_PLAIN_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"uuid"}
_CODECS = {b"avc1": "h264", b"avc3": "h264", b"hvc1": "hevc", b"hev1": "hevc"}
_SAMPLE_ENTRY_BYTES = 86  # header and fixed fields of a visual sample entry
_MOST_SEAL_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame in decoding order; times in ticks of the time base."""

    offset: int
    size: int
    dts: int
    pts: int
    is_key: bool


@dataclass(slots=True)
class ClipMedia:
    """An exported file, taken apart. `media_bytes` is its length without the seal."""

    path: Path
    codec: str
    extradata: bytes
    time_base: Fraction
    samples: list[Sample]
    media_bytes: int
    seal: bytes | None
    oddities: list[str] = field(default_factory=list)
    has_sound: bool = False

    def frames(self) -> Iterator[tuple[Sample, bytes]]:
        """Yield each sample with its bytes."""
        with self.path.open("rb") as file:
            for sample in self.samples:
                file.seek(sample.offset)
                yield sample, file.read(sample.size)


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int
    body: int
    end: int


def read_media(path: Path) -> ClipMedia:
    """Take an MP4 apart. Raises `StorageError` clip.not_readable when it is no such file."""
    try:
        return _read(path)
    except (OSError, ValueError, IndexError, struct.error) as error:
        raise StorageError(
            "clip.not_readable",
            f"{path.name} is not an MP4 as the box exports it: {error or type(error).__name__}.",
            hint="Check the very file that the box wrote; a converted copy proves nothing.",
        ) from error


def seal_box(seal: bytes) -> bytes:
    """Return the box that carries `seal` behind the media; players skip what they don't know."""
    return struct.pack(">I4s", 8 + 16 + len(seal), b"uuid") + SEAL_ID + seal


def media_digest(path: Path, size: int) -> bytes:
    """Return the SHA-256 of a file's first `size` bytes."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while size and (data := file.read(min(size, 1 << 20))):
            sha.update(data)
            size -= len(data)
    return sha.digest()


def _read(path: Path) -> ClipMedia:
    size = path.stat().st_size
    with path.open("rb") as file:
        tops = []
        at = 0
        while at < size:
            file.seek(at)
            tops.append(_box(file.read(16), at, size))
            at = tops[-1].end
        kinds = [box.kind for box in tops]
        if kinds.count(b"moov") != 1 or kinds.count(b"mdat") != 1:
            raise ValueError("it needs one `moov` and one `mdat`")
        seal, media_bytes = None, size
        last = tops[-1]
        if last.kind == b"uuid" and last.end - last.body < _MOST_SEAL_BYTES:
            file.seek(last.body)
            body = file.read(last.end - last.body)
            if body.startswith(SEAL_ID):
                seal, media_bytes = body[len(SEAL_ID) :], last.start
        moov, mdat = (tops[kinds.index(kind)] for kind in (b"moov", b"mdat"))
        file.seek(moov.body)
        media = _movie(path, file.read(moov.end - moov.body), mdat)
    media.seal, media.media_bytes = seal, media_bytes
    strange = sorted({kind.decode("latin-1") for kind in kinds if kind not in _PLAIN_BOXES})
    media.oddities += [f"box `{kind}` at the top" for kind in strange]
    return media


def _movie(path: Path, moov: bytes, mdat: _Box) -> ClipMedia:
    traks = _children(moov, b"trak")
    videos = [trak for trak in traks if _full(_one(trak, b"mdia", b"hdlr"))[4:8] == b"vide"]
    if len(videos) != 1:
        raise ValueError(f"{len(videos)} video tracks")
    trak = videos[0]
    codec, extradata = _codec(_one(trak, b"mdia", b"minf", b"stbl", b"stsd"))
    header = _one(trak, b"mdia", b"mdhd")
    timescale = struct.unpack_from(">I", header, 20 if header[0] == 1 else 12)[0]
    if not timescale:
        raise ValueError("no time scale")
    samples = _samples(_one(trak, b"mdia", b"minf", b"stbl"), mdat)
    sounds = [trak for trak in traks if _full(_one(trak, b"mdia", b"hdlr"))[4:8] == b"soun"]
    oddities = ["more than one track"] if len(traks) > len(sounds[:1]) + 1 else []
    if _children(moov, b"mvex"):
        oddities.append("fragments")
    return ClipMedia(
        path,
        codec,
        extradata,
        Fraction(1, timescale),
        samples,
        0,
        None,
        oddities=oddities,
        has_sound=bool(sounds),
    )


def _codec(stsd: bytes) -> tuple[str, bytes]:
    (count,) = struct.unpack_from(">I", stsd, 4)
    entry = _box(stsd[8:24], 8, len(stsd))
    codec = _CODECS.get(entry.kind)
    if count != 1 or codec is None:
        raise ValueError("not one H.264 or H.265 sample description")
    inside = stsd[8 + _SAMPLE_ENTRY_BYTES : entry.end]
    return codec, _one(inside, b"avcC" if codec == "h264" else b"hvcC")


def _samples(stbl: bytes, mdat: _Box) -> list[Sample]:
    sizes = _sizes(_one(stbl, b"stsz"), mdat)
    count = len(sizes)
    durations = _runs(_one(stbl, b"stts"), ">II", count)
    leads_box = _children(stbl, b"ctts")
    leads = _runs(leads_box[0], ">Ii", count) if leads_box else [0] * count
    keys_box = _children(stbl, b"stss")
    keys = {key for (key,) in _table(keys_box[0], ">I")} if keys_box else None
    offsets = _offsets(stbl, sizes)
    if not len(durations) == len(leads) == len(offsets) == count:
        raise ValueError("the sample tables disagree")
    samples, dts = [], 0
    for number in range(count):
        offset, size = offsets[number], sizes[number]
        if offset < mdat.body or offset + size > mdat.end:
            raise ValueError("a sample lies outside `mdat`")
        is_key = keys is None or number + 1 in keys
        samples.append(Sample(offset, size, dts, dts + leads[number], is_key))
        dts += durations[number]
    return samples


def _sizes(stsz: bytes, mdat: _Box) -> list[int]:
    each, count = struct.unpack_from(">II", stsz, 4)
    if not each:
        return [size for (size,) in struct.iter_unpack(">I", stsz[12 : 12 + 4 * count])]
    if each * count > mdat.end - mdat.body:
        raise ValueError("samples larger than the file")
    return [each] * count


def _offsets(stbl: bytes, sizes: list[int]) -> list[int]:
    wide = _children(stbl, b"co64")
    table = _table(wide[0], ">Q") if wide else _table(_one(stbl, b"stco"), ">I")
    chunks = [offset for (offset,) in table]
    spans = _table(_one(stbl, b"stsc"), ">III")
    ends = [first for first, _, _ in spans[1:]] + [len(chunks) + 1]
    offsets: list[int] = []
    for (first, per_chunk, _), end in zip(spans, ends, strict=True):
        for chunk in range(first, end):
            at = chunks[chunk - 1]
            for _ in range(min(per_chunk, len(sizes) - len(offsets))):
                offsets.append(at)
                at += sizes[len(offsets) - 1]
    return offsets


def _runs(box: bytes, shape: str, most: int) -> list[int]:
    """Unfold a table of (count, value)."""
    table = _table(box, shape)
    if sum(count for count, _ in table) != most:
        raise ValueError("the sample tables disagree")
    return list(itertools.chain.from_iterable(itertools.repeat(v, n) for n, v in table))


def _table(box: bytes, shape: str) -> list[tuple[int, ...]]:
    (count,) = struct.unpack_from(">I", box, 4)
    body = box[8 : 8 + count * struct.calcsize(shape)]
    return list(struct.iter_unpack(shape, body))


def _full(box: bytes) -> bytes:
    """Return a full box's body behind version and flags."""
    return box[4:]


def _one(data: bytes, *names: bytes) -> bytes:
    """Return the body of the only box `names[0]` in `data`, and so on inwards."""
    for name in names:
        found = _children(data, name)
        if len(found) != 1:
            raise ValueError(f"{len(found)} boxes `{name.decode()}`")
        data = found[0]
    return data


def _children(data: bytes, name: bytes) -> list[bytes]:
    found, at = [], 0
    while at + 8 <= len(data):
        box = _box(data[at : at + 16], at, len(data))
        if box.kind == name:
            found.append(data[box.body : box.end])
        at = box.end
    return found


def _box(header: bytes, at: int, limit: int) -> _Box:
    size, kind = struct.unpack_from(">I4s", header)
    body = at + 8
    if size == 1:
        (size,) = struct.unpack_from(">Q", header, 8)
        body = at + 16
    elif size == 0:
        size = limit - at
    if size < body - at or at + size > limit:
        raise ValueError(f"box `{kind.decode('latin-1')}` does not fit")
    return _Box(kind, at, body, at + size)
