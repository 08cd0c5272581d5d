"""Checks a clip with nothing but the file and the box's public key: no box, no network.

Whole means: every GOP is the recorded one, in its place; the links between them lead to heads that
the box signed while it recorded; the file is byte for byte what the box gave out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from msgspec import UNSET

from agent.contract.events import TimeQuality
from agent.core.errors import StorageError
from agent.evidence.anchors import Anchors, check_anchors
from agent.evidence.box_key import PublicKey
from agent.evidence.clip_gops import gops_of_clip
from agent.evidence.findings import ExpectedGop, Finding, FindingKind, compare
from agent.evidence.frames import parameter_digest
from agent.evidence.gop import Origin, link
from agent.evidence.handover import Trusted, predecessors
from agent.evidence.manifest import ClipManifest, SignedManifest, Stretch, open_manifest
from agent.evidence.mp4_samples import ClipMedia, media_digest, read_media
from agent.evidence.signer import SignedHead

_REDATED_S = 1.0
_HANDOVER_TAKES = timedelta(minutes=10)  # until every process of the box uses the new key


@dataclass(frozen=True, slots=True)
class Verdict:
    """`is_whole` only without a finding. `is_pinned`: the signing key is one that was given."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    manifest: ClipManifest | None = None
    key_id: str = ""
    is_pinned: bool = False
    gops: int = 0
    signed_when_recorded: int = 0

    @property
    def is_whole(self) -> bool:
        return not self.findings


def verify_clip(
    path: Path,
    box_keys: Sequence[PublicKey] = (),
    *,
    token: bytes | None = None,
    may_be_repackaged: bool = False,
    anchors: Anchors | None = None,
    handovers: Sequence[str] = (),
) -> Verdict:
    """Return what can be said of the clip at `path`. Never raises for what is in the file.

    `token` is a manifest kept beside the file, for a copy that lost its own. With
    `may_be_repackaged` a file in another wrapping passes when its pictures are whole and in order.
    `anchors` are what a center kept; `handovers` those of the box's keys known beside the clip's.
    """
    try:
        media = read_media(path)
    except StorageError as error:
        return Verdict((Finding(FindingKind.UNREADABLE, error.message),))
    token = token or media.seal
    if token is None:
        why = (
            "The file carries no manifest: it is no clip of a Poleside box, or was encoded anew,"
            " converted or cut on its way."
        )
        return Verdict((Finding(FindingKind.NO_MANIFEST, why),))
    try:
        signed = open_manifest(token)
    except StorageError as error:
        return Verdict((Finding(FindingKind.MANIFEST_CHANGED, error.message),))
    known = [*signed.manifest.handovers, *handovers, *(anchors.handovers if anchors else ())]
    verdict = _judge(media, signed, box_keys, known, may_be_repackaged=may_be_repackaged)
    if anchors is None:
        return verdict
    rewritten, notes = check_anchors(path, signed.manifest, anchors)
    return replace(
        verdict,
        findings=(*verdict.findings, *rewritten),
        notes=(*verdict.notes, *notes),
    )


def _judge(
    media: ClipMedia,
    signed: SignedManifest,
    box_keys: Sequence[PublicKey],
    handovers: Sequence[str],
    *,
    may_be_repackaged: bool,
) -> Verdict:
    manifest = signed.manifest
    keys = predecessors(signed.key, handovers)
    is_pinned = _is_known(signed.key, box_keys, handovers)
    findings = _check_key(signed, box_keys, is_pinned=is_pinned)
    covered = 0
    for stretch in manifest.stretches:
        broken, signed_gops = _check_chain(stretch, manifest, keys)
        findings += broken
        covered += signed_gops
    findings += _check_pictures(media, manifest)
    repackaged = _check_container(media, manifest)
    notes = [*_notes(manifest, covered), *_key_notes(keys)]
    if media.has_sound:
        notes.append(
            "The chain covers the pictures alone: the sound is only as the box gave it out."
        )
    if may_be_repackaged:
        notes += [one.message for one in repackaged]
    else:
        findings += repackaged
    return Verdict(
        findings=tuple(findings),
        notes=tuple(notes),
        manifest=manifest,
        key_id=signed.key.fingerprint,
        is_pinned=is_pinned,
        gops=sum(len(one.gops) for one in manifest.stretches),
        signed_when_recorded=covered,
    )


def _is_known(key: PublicKey, box_keys: Sequence[PublicKey], handovers: Sequence[str]) -> bool:
    """Say whether a key that was given is this one, or hand-overs join the two."""
    return any(
        key.fingerprint in predecessors(known, handovers)
        or known.fingerprint in predecessors(key, handovers)
        for known in box_keys
    )


def _check_key(
    signed: SignedManifest, box_keys: Sequence[PublicKey], *, is_pinned: bool
) -> list[Finding]:
    findings = []
    if not signed.is_signed:
        why = "The manifest was changed: its signature is not true to it."
        findings.append(Finding(FindingKind.MANIFEST_CHANGED, why))
    if box_keys and not is_pinned:
        why = (
            f"The clip is signed by key {signed.key.fingerprint}, the box's key is"
            f" {' or '.join(key.fingerprint for key in box_keys)}."
        )
        findings.append(Finding(FindingKind.WRONG_KEY, why))
    return findings


def _check_chain(
    stretch: Stretch, manifest: ClipManifest, keys: dict[str, Trusted]
) -> tuple[list[Finding], int]:
    """Follow one stretch's links to its signed heads; return also how many GOPs those cover."""
    header = stretch.header
    if header is None:
        return [], 0
    findings = []
    name = f"run {header.run}"
    stream = "main" if header.stream is UNSET else header.stream
    if (header.box, header.camera, stream) != (manifest.box, manifest.camera, manifest.stream):
        why = (
            f"The chain of {name} belongs to the {stream} stream of camera {header.camera}"
            f" of box {header.box}."
        )
        findings.append(Finding(FindingKind.CHAIN_BROKEN, why))
    at = stretch.before
    if stretch.gops and stretch.gops[0].seq == 0 and at != header.link():
        why = f"The chain of {name} does not begin as its header says."
        findings.append(Finding(FindingKind.CHAIN_BROKEN, why))
    heads = {one.head.seq: one for one in stretch.heads}
    covered_to, seq = -1, None
    for gop in (*stretch.gops, *stretch.after):
        if seq is not None and gop.seq != seq + 1:
            why = f"The chain of {name} has a hole between number {seq} and {gop.seq}."
            findings.append(Finding(FindingKind.CHAIN_BROKEN, why))
        seq = gop.seq
        at = link(at, header.run, gop)
        signed = heads.pop(seq, None)
        if signed is None:
            continue
        told = signed.head
        is_ours = (told.box, told.camera, told.run) == (header.box, header.camera, header.run)
        if is_ours and told.link == at and _is_trusted(signed, keys):
            covered_to = seq
        else:
            why = f"The head signed at number {seq} of {name} is not that of this chain and key."
            findings.append(Finding(FindingKind.FORGED_HEAD, why))
    for seq in heads:
        why = f"The head signed at number {seq} of {name} lies outside the clip's chain."
        findings.append(Finding(FindingKind.FORGED_HEAD, why))
    return findings, sum(gop.seq <= covered_to for gop in stretch.gops)


def _is_trusted(signed: SignedHead, keys: dict[str, Trusted]) -> bool:
    """Say whether a key of the box signed this head, and while it was the box's."""
    trusted = keys.get(signed.key_id)
    if trusted is None or not signed.is_signed_by(trusted.key):
        return False
    if trusted.until is None or signed.head.clock_quality == TimeQuality.UNSYNCED:
        return True
    return signed.head.signed_us <= (trusted.until + _HANDOVER_TAKES).timestamp() * 1_000_000


def _key_notes(keys: dict[str, Trusted]) -> list[str]:
    return [
        f"The box changed its key {one.until:%Y-%m-%d %H:%M:%S} UTC; the old one,"
        f" {one.key.fingerprint}, signed for its successor."
        for one in keys.values()
        if one.until is not None
    ]


def _check_pictures(media: ClipMedia, manifest: ClipManifest) -> list[Finding]:
    findings = []
    headers = [one.header for one in manifest.stretches if one.header is not None]
    parameters = {header.parameters for header in headers} or {manifest.parameters}
    own = parameter_digest(media.codec, media.extradata, [])
    if media.codec != manifest.codec or parameters != {own}:
        why = "The decoder's parameter sets are not those that the camera sent."
        findings.append(Finding(FindingKind.PARAMETERS_CHANGED, why))
    thinned = {
        (position, gop.seq): gop
        for position, one in enumerate(manifest.stretches)
        for gop in one.thinned
    }
    expected = [
        ExpectedGop(
            one.header.run if one.header else 0,
            gop,
            one.rest if number == len(one.gops) else (),
            thinned.get((position, gop.seq)),
        )
        for position, one in enumerate(manifest.stretches)
        for number, gop in enumerate(one.gops, start=1)
    ]
    return findings + compare(expected, gops_of_clip(media, min(parameters)))


def _check_container(media: ClipMedia, manifest: ClipManifest) -> list[Finding]:
    is_same = (
        media.media_bytes == manifest.media_bytes
        and media_digest(media.path, media.media_bytes) == manifest.media_sha256
    )
    if is_same:
        return []
    why = "The file is not byte for byte the one that the box gave out: its wrapping was changed."
    if media.oddities:
        why += f" It has {', '.join(media.oddities)}."
    return [Finding(FindingKind.CONTAINER_CHANGED, why)]


def _notes(manifest: ClipManifest, covered: int) -> list[str]:
    gops = [gop for one in manifest.stretches for gop in one.gops]
    notes = []
    if manifest.stream != "main":
        notes.append(f"It is the camera's {manifest.stream} stream, which shows less detail.")
    late = len(gops) - covered
    if late:
        notes.append(
            f"{late} of {len(gops)} GOPs were signed only when the clip was made:"
            " their minute was not over, or they were never chained."
        )
    recovered = sum(gop.origin is Origin.RECOVERED for gop in gops)
    if recovered:
        notes.append(f"{recovered} GOPs were hashed from the disk after an interruption.")
    shift_s = manifest.start_at.timestamp() - gops[0].start_us / 1e6 if gops else 0.0
    if abs(shift_s) >= _REDATED_S:
        notes.append(
            f"The box re-dated the recording by {shift_s:+.1f} s once its time was proven."
        )
    thinned = sum(len(one.thinned) for one in manifest.stretches)
    if thinned:
        notes.append(f"{thinned} GOPs are key frames only: the box had thinned them by then.")
    notes += [
        f"It lacks {one.since:%Y-%m-%d %H:%M:%S} to {one.until:%H:%M:%S} UTC, as the box told:"
        f" {one.cause}."
        for one in manifest.holes
    ]
    return notes + [_pause(*pair) for pair in pairwise(manifest.stretches)]


def _pause(first: Stretch, second: Stretch) -> str:
    """Say whether recorded video is left out between two stretches: their links tell."""
    if first.header is None or second.header is None:
        return "The video pauses where the clip goes on with what was not chained yet."
    at = first.before
    for gop in first.gops:
        at = link(at, first.header.run, gop)
    name = f"behind number {first.gops[-1].seq} of run {first.header.run}"
    if second.gops[0].seq == 0 and second.header.previous == at and not first.rest:
        return f"The video pauses {name}; nothing was recorded until run {second.header.run}."
    return f"The video pauses {name}; what was recorded there is no longer on the box."
