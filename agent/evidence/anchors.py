"""What a center kept of a camera's chain, against a clip of that camera.

A box's owner could make up a whole new chain and sign it with the box's own key. But the center was
told the heads of the first one within the hour, and a clip carries the heads that cover it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent.contract.evidence import BY_TYPE, BoxKeyData, HeadMark, VideoHeads
from agent.contract.records import RecordHead
from agent.core.errors import StorageError
from agent.evidence.box_key import unb64
from agent.evidence.findings import Finding, FindingKind
from agent.evidence.manifest import ClipManifest
from agent.evidence.signer import HeadStatement


@dataclass(frozen=True, slots=True)
class Anchors:
    """The heads of every camera of a box as a center kept them, and the box's hand-overs."""

    box: str
    heads: tuple[VideoHeads, ...]
    handovers: tuple[str, ...]


def load_anchors(path: Path) -> Anchors:
    """Read what `poleside center anchors` wrote. Raises `StorageError` evidence.anchor_file."""
    boxes, heads, handovers = set(), [], []
    try:
        for line in path.read_bytes().splitlines():
            head = msgspec.json.decode(line, type=RecordHead)
            record = msgspec.json.decode(line, type=BY_TYPE[head.type])
            boxes.add(record.source.rpartition("/")[2])
            if isinstance(record.data, VideoHeads):
                heads.append(record.data)
            elif isinstance(record.data, BoxKeyData) and record.data.handover:
                handovers.append(record.data.handover)
    except (OSError, KeyError, msgspec.MsgspecError) as error:
        raise _bad_file(path, str(error)) from error
    if len(boxes) != 1:
        raise _bad_file(path, "it must be of one box")
    return Anchors(boxes.pop(), tuple(heads), tuple(handovers))


def check_anchors(manifest: ClipManifest, anchors: Anchors) -> tuple[list[Finding], list[str]]:
    """Return what contradicts the center's word, and what else is to be said."""
    if manifest.box != anchors.box:
        return [], [f"The anchors are of box {anchors.box}: the clip was not held against them."]
    chain = manifest.camera, manifest.stream
    told = [one.heads for one in anchors.heads if (one.camera_id, one.stream) == chain]
    by_place = {(mark.run, mark.seq): mark for heads in told for mark in heads}
    findings, same = [], 0
    for head in _heads(manifest):
        mark = by_place.get((head.run, head.seq))
        if mark is not None and _link(mark) == head.link:
            same += 1
        elif mark is not None or any(_spans(heads, head) for heads in told):
            why = (
                f"The head signed at number {head.seq} of run {head.run} is not what the center was"
                " told then: the chain was rewritten afterwards."
            )
            findings.append(Finding(FindingKind.REWRITTEN, why))
    if findings:
        return findings, []
    if same:
        return [], [f"{same} signed heads of the clip are those the center was told then."]
    return [], ["The center was told no head of this clip's time: it can't speak for it."]


def _heads(manifest: ClipManifest) -> Iterable[HeadStatement]:
    return (signed.head for stretch in manifest.stretches for signed in stretch.heads)


def _spans(heads: tuple[HeadMark, ...], head: HeadStatement) -> bool:
    """Say whether one record, which leaves no head out, goes past this one."""
    if not heads:
        return False
    first, last = heads[0], heads[-1]
    in_time = first.media_us <= head.media_us <= last.media_us
    in_order = (first.run, first.seq) <= (head.run, head.seq) <= (last.run, last.seq)
    return in_time or in_order


def _link(mark: HeadMark) -> bytes:
    try:
        return unb64(mark.link)
    except ValueError:
        return b""


def _bad_file(path: Path, why: str) -> StorageError:
    return StorageError(
        "evidence.anchor_file",
        f"{path} holds no anchors: {why}.",
        hint="Have the center write it: `poleside center anchors BOX --out FILE`.",
    )
