"""What a center kept of a camera's chain, against a clip of that camera.

A box's owner could make up a whole new chain and sign it with the box's own key. But the center was
told of the heads of the first one within the hour: a digest of their list, which the clip carries.
A clip made before its hour was told is in the audit chain by its own SHA-256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import msgspec

from agent.contract.audit import AUDIT_TYPE, AuditRecord
from agent.contract.evidence import (
    BY_TYPE,
    BoxHour,
    BoxKeyData,
    HeadMark,
    HeadPlace,
    HeadsDigest,
    VideoHeads,
)
from agent.contract.records import RecordHead
from agent.core.errors import StorageError
from agent.evidence.box_key import unb64
from agent.evidence.findings import Finding, FindingKind
from agent.evidence.manifest import ClipManifest
from agent.evidence.signer import HeadStatement


@dataclass(slots=True)
class Anchors:
    """What a center kept of one box.

    `heads` as boxes once told them, `digests` as they do now; `files` are the SHA-256 of what was
    exported, by the audit chain.
    """

    box: str = ""
    heads: list[VideoHeads] = field(default_factory=list)
    digests: list[HeadsDigest] = field(default_factory=list)
    handovers: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)

    def take(self, line: bytes) -> str:
        """Take one record; return whose it is."""
        head = msgspec.json.decode(line, type=RecordHead)
        if head.type == AUDIT_TYPE:
            self.files.add(msgspec.json.decode(line, type=AuditRecord).data.sha256)
        else:
            data = msgspec.json.decode(line, type=BY_TYPE[head.type]).data
            if isinstance(data, BoxHour):
                self.digests += data.heads
            elif isinstance(data, VideoHeads):
                self.heads.append(data)
            elif isinstance(data, BoxKeyData) and data.handover:
                self.handovers.append(data.handover)
        return head.source.rpartition("/")[2]


def load_anchors(path: Path) -> Anchors:
    """Read what `poleside center anchors` wrote. Raises `StorageError` evidence.anchor_file."""
    anchors = Anchors()
    try:
        boxes = {anchors.take(line) for line in path.read_bytes().splitlines()}
    except (OSError, KeyError, msgspec.MsgspecError) as error:
        raise _bad_file(path, str(error)) from error
    if len(boxes) != 1:
        raise _bad_file(path, "it must be of one box")
    anchors.box = boxes.pop()
    return anchors


def check_anchors(
    path: Path, manifest: ClipManifest, anchors: Anchors
) -> tuple[list[Finding], list[str]]:
    """Return what contradicts the center's word, and what else is to be said of the clip."""
    if manifest.box != anchors.box:
        return [], [f"The anchors are of box {anchors.box}: the clip was not held against them."]
    held = _Held(manifest, anchors)
    findings, same, unshown = [], 0, 0
    for head in chain.from_iterable(one.heads for one in manifest.stretches):
        told = held.says(head.head)
        same += told is True
        unshown += told is None and held.is_digested(head.head)
        if told is False:
            why = (
                f"The head signed at number {head.head.seq} of run {head.head.run} is not what the"
                " center was told then: the chain was rewritten afterwards."
            )
            findings.append(Finding(FindingKind.REWRITTEN, why))
    if findings:
        return findings, []
    notes = []
    if same:
        notes.append(f"{same} signed heads of the clip are those the center was told then.")
    if anchors.files and _sha256(path) in anchors.files:
        return [], [*notes, "The center was told of this very file when it was made."]
    if unshown:
        why = (
            f"The center holds a digest over {unshown} signed heads of the clip, and the clip does"
            " not carry their list: have the box make it anew."
        )
        return [Finding(FindingKind.UNSHOWN, why)], notes
    return [], notes or ["The center was told no head of this clip's time: it can't speak for it."]


class _Held:
    """What the center knows of one clip's chain, with the lists that the clip carries."""

    def __init__(self, manifest: ClipManifest, anchors: Anchors) -> None:
        chain_id = manifest.camera, manifest.stream
        self._digests = [one for one in anchors.digests if (one.camera_id, one.stream) == chain_id]
        known = {one.digest for one in self._digests}
        shown = [one for one in manifest.told if (one.camera_id, one.stream) == chain_id]
        told = [one for one in anchors.heads if (one.camera_id, one.stream) == chain_id]
        self._told = [one.heads for one in (*told, *shown) if one in told or one.digest() in known]
        self._made_up = [one.heads for one in shown if one.digest() not in known]
        self._by_place = {(mark.run, mark.seq): mark for heads in self._told for mark in heads}

    def says(self, head: HeadStatement) -> bool | None:
        """Say whether the center was told exactly this head; None when nobody can tell."""
        mark = self._by_place.get((head.run, head.seq))
        if mark is not None:
            return _link(mark) == head.link
        if any(_spans(heads, head) for heads in self._told):
            return False
        is_made_up = any(_spans(heads, head) for heads in self._made_up)
        return False if is_made_up and self.is_digested(head) else None

    def is_digested(self, head: HeadStatement) -> bool:
        """Say whether the center has a digest over this head's time."""
        return any(_spans((one.first, one.last), head) for one in self._digests)


def _spans(marks: Iterable[HeadMark | HeadPlace], head: HeadStatement) -> bool:
    """Say whether one list, which leaves no head out, goes past this one."""
    places = list(marks)
    if not places:
        return False
    first, last = places[0], places[-1]
    in_time = first.media_us <= head.media_us <= last.media_us
    in_order = (first.run, first.seq) <= (head.run, head.seq) <= (last.run, last.seq)
    return in_time or in_order


def _link(mark: HeadMark) -> bytes:
    try:
        return unb64(mark.link)
    except ValueError:
        return b""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bad_file(path: Path, why: str) -> StorageError:
    return StorageError(
        "evidence.anchor_file",
        f"{path} holds no anchors: {why}.",
        hint="Have the center write it: `poleside center anchors BOX --out FILE`.",
    )
