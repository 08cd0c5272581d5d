"""Seals a clip: gathers the chain behind its GOPs, signs a manifest, puts it into the file.

Runs in the exporting process, beside the running worker or on a disk taken from another box.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from sqlite3 import Connection, OperationalError

import av

from agent import __version__
from agent.core.clock import Clock
from agent.core.errors import StorageError
from agent.core.sqlite import open_reader
from agent.evidence import chain_index
from agent.evidence.box_key import BoxKey
from agent.evidence.chain_index import ChainedSegment
from agent.evidence.clip_gops import ClipGop, gops_of_clip
from agent.evidence.frames import parameter_digest
from agent.evidence.gop import FIRST_LINK, Gop, Origin, RunHeader, link
from agent.evidence.manifest import (
    ClipManifest,
    ClipRequest,
    Hole,
    KeyFrameOnly,
    Stretch,
    sign_manifest,
)
from agent.evidence.mp4_samples import media_digest, read_media, seal_box
from agent.evidence.segment_gops import frame_digests
from agent.evidence.signer import SignedHead
from agent.evidence.told_heads import read_told

_OPEN_SUFFIX, _FINAL_SUFFIX = ".open.mp4", ".mp4"


@dataclass(frozen=True, slots=True)
class GopPlace:
    """Where a GOP of the clip came from: the segment's file, and how many GOPs are before it."""

    source: Path
    number: int


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """An exported clip as it is to be sealed: its file and where each GOP came from, in order."""

    path: Path
    camera: str
    start_at: datetime
    end_at: datetime
    places: Sequence[GopPlace]
    stream: str = "main"
    holes: Sequence[Hole] = ()


@dataclass(frozen=True, slots=True)
class Seal:
    """What was put into the file."""

    manifest: ClipManifest
    token: bytes


@dataclass(frozen=True, slots=True)
class _Found:
    """One GOP of the clip and, when it was chained at record time, its place in the chain."""

    gop: Gop
    segment: ChainedSegment | None
    source: Path
    thinned: KeyFrameOnly | None = None


def seal_clip(
    clip: ClipFacts,
    index_file: Path,
    request: ClipRequest,
    key: BoxKey,
    clock: Clock,
    handovers: Sequence[str] = (),
    box_file: Path | None = None,
    folder: Path | None = None,
) -> Seal:
    """Append the signed manifest to the clip's file and make it durable.

    `handovers` are those of the box's keys: heads of an older key are checked through them.
    `box_file` is the box's `box.db`, which knows the lists of heads a center was told of; `folder`
    the camera's, where the index lies elsewhere.

    Raises `StorageError` clip.not_sealed when the file or the index does not allow it.
    """
    try:
        with closing(open_reader(index_file)) as index:
            stretches, box = _stretches(clip, index, folder or index_file.parent)
        media = read_media(clip.path)
        heads = [(one.head.run, one.head.seq) for stretch in stretches for one in stretch.heads]
        manifest = ClipManifest(
            box=box,
            camera=clip.camera,
            stream=clip.stream,
            request=request,
            start_at=clip.start_at,
            end_at=clip.end_at,
            exported_at=clock.utc_now(),
            clock_quality=str(clock.quality()),
            versions={"poleside": __version__, "libav": av.ffmpeg_version_info},
            codec=media.codec,
            parameters=parameter_digest(media.codec, media.extradata, []),
            media_bytes=media.media_bytes,
            media_sha256=media_digest(clip.path, media.media_bytes),
            stretches=stretches,
            handovers=tuple(handovers),
            holes=tuple(clip.holes),
            told=read_told(box_file, clip.camera, clip.stream, heads) if box_file else (),
        )
        token = sign_manifest(manifest, key)
        with clip.path.open("ab") as file:
            file.write(seal_box(token))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(
            "clip.not_sealed",
            f"The manifest can't be written into {clip.path.name}: {error}.",
            hint="Look whether the folder has room.",
        ) from error
    return Seal(manifest, token)


def _stretches(clip: ClipFacts, index: Connection, folder: Path) -> tuple[tuple[Stretch, ...], str]:
    in_clip = gops_of_clip(read_media(clip.path))
    found = _located(clip, in_clip, index, folder)
    stretches = [
        _stretch(index, stretch, in_clip[stretch[-1][0]])
        for _, group in groupby(enumerate(found), lambda item: _stretch_key(*item))
        if (stretch := list(group))
    ]
    box = next((one.header.box for one in stretches if one.header is not None), "")
    return tuple(stretches), box


def _stretch_key(position: int, found: _Found) -> tuple[int, int]:
    """Equal for GOPs that follow one another in one chain."""
    if found.segment is None:
        return 0, found.gop.seq - position
    return found.segment.run_id, found.gop.seq - position


def _located(
    clip: ClipFacts, in_clip: Sequence[ClipGop], index: Connection, folder: Path
) -> list[_Found]:
    """Return what the chain holds of each GOP; what it does not know is taken from the clip."""
    known: dict[Path, ChainedSegment | None] = {}
    clip_start_us = round(clip.start_at.timestamp() * 1_000_000)
    found = []
    for place, gop in zip(clip.places, in_clip, strict=True):
        if place.source not in known:
            known[place.source] = _segment(index, folder, place.source)
        segment = known[place.source]
        if segment is not None and place.number < len(segment.gops):
            chained = segment.gops[place.number]
            thinned = _thinned(index, segment, place.number, gop)
            found.append(_Found(chained, segment, place.source, thinned))
            continue
        own = Gop(
            place.number,
            clip_start_us + round(gop.start_s * 1_000_000),
            gop.hash.frames,
            gop.hash.size_bytes,
            gop.hash.digest(),
            Origin.EXPORT,
        )
        found.append(_Found(own, None, place.source))
    return found


def _thinned(
    index: Connection, segment: ChainedSegment, number: int, in_clip: ClipGop
) -> KeyFrameOnly | None:
    """Return the proof of a GOP of which the box kept the key frame only."""
    gop = segment.gops[number]
    if in_clip.hash.frames > 1 or gop.frames == 1:
        return None
    tails = chain_index.tails(index, segment.segment_id)
    if number >= len(tails):
        return None
    return KeyFrameOnly(gop.seq, in_clip.hash.frame_digests[0], tails[number])


def _segment(index: Connection, folder: Path, path: Path) -> ChainedSegment | None:
    """Return what is chained of a segment; it may have been closed since the clip was made."""
    if path.is_relative_to(folder):
        name, where = path.relative_to(folder).as_posix(), "path IN (?,?)"
    else:  # a copy on a second disk: run and time are in the name
        name, where = path.name, "path LIKE '%/' || ? OR path LIKE '%/' || ?"
    names = (name, name.removesuffix(_OPEN_SUFFIX) + _FINAL_SUFFIX)
    row = index.execute(f"SELECT segment_id FROM segments WHERE {where}", names).fetchone()  # noqa: S608
    if row is None:  # deleted since
        return None
    try:
        return chain_index.chained_segment(index, row[0])
    except OperationalError:  # recorded by a version without evidence
        return None


def _stretch(index: Connection, items: list[tuple[int, _Found]], last_in_clip: ClipGop) -> Stretch:
    gops = tuple(found.gop for _, found in items)
    (_, first), (_, last) = items[0], items[-1]
    header = chain_index.run_header(index, first.segment.run_id) if first.segment else None
    if first.segment is None or last.segment is None or header is None:
        return Stretch(header=None, before=FIRST_LINK, gops=gops)
    before = first.segment.link_before
    for gop in first.segment.gops[: gops[0].seq - first.segment.gops[0].seq]:
        before = link(before, header.run, gop)
    left_out = gops[-1].frames - last_in_clip.hash.frames
    rest: tuple[bytes, ...] = ()
    if left_out > 0 and last.thinned is None:
        number = gops[-1].seq - last.segment.gops[0].seq
        digests = frame_digests(_closed(last.source), header.codec, number)
        rest = digests[last_in_clip.hash.frames :]
    after, heads = _heads(index, header, before, gops)
    return Stretch(
        header=header,
        before=before,
        gops=gops,
        rest=rest,
        thinned=tuple(found.thinned for _, found in items if found.thinned is not None),
        after=after,
        heads=heads,
    )


def _heads(
    index: Connection, header: RunHeader, before: bytes, gops: tuple[Gop, ...]
) -> tuple[tuple[Gop, ...], tuple[SignedHead, ...]]:
    """Return the signed heads up to the first one that covers all of `gops`, and the way there."""
    signed = {one.seq: one for one in chain_index.signatures(index, header.run, gops[0].seq)}
    last_seq = gops[-1].seq
    covering = min((seq for seq in signed if seq >= last_seq), default=last_seq)
    after = []
    for gop in chain_index.following(index, header.run, last_seq):
        if gop.seq > covering:
            break
        after.append(gop)
    heads, at = [], before
    for gop in (*gops, *after):
        at = link(at, header.run, gop)
        if gop.seq in signed:
            heads.append(signed[gop.seq].of(header, gop, at))
    reaches = after[-1].seq if after else last_seq
    return (tuple(after) if reaches == covering else ()), tuple(heads)


def _closed(path: Path) -> Path:
    """Return the segment's file under the name it has by now."""
    return path if path.exists() else Path(str(path).removesuffix(_OPEN_SUFFIX) + _FINAL_SUFFIX)
