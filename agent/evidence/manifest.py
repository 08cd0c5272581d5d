"""What the box says of a clip it gave out: who asked and why, and the chain behind every GOP.

Travels as a JSON Web Signature (compact, ES256, RFC 7515) in a box at the end of the MP4, so that
one file is enough; any JOSE tool can check it too.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

from agent.contract.evidence import VideoHeads
from agent.core.errors import StorageError
from agent.evidence import jws
from agent.evidence.box_key import BoxKey, PublicKey
from agent.evidence.gop import Gop, RunHeader
from agent.evidence.signer import SignedHead

FORMAT: Literal["poleside.clip.v1"] = "poleside.clip.v1"


class KeyFrameOnly(Struct, frozen=True, array_like=True):
    """GOP `seq` was thinned on the box; the digest of its key frame, and one of the rest."""

    seq: int
    key_frame: bytes
    tail: bytes


class Stretch(Struct, frozen=True, kw_only=True):
    """GOPs that follow one another in one run's chain.

    `before` is the chain's head ahead of the first one. `after` are GOPs behind the clip, by their
    hashes only, up to the next signed head; `rest` are the digests of the last GOP's frames that
    the clip leaves out. Without `header` the GOPs were never chained, only hashed for the clip.
    """

    header: RunHeader | None
    before: bytes
    gops: tuple[Gop, ...]
    rest: tuple[bytes, ...] = ()
    thinned: tuple[KeyFrameOnly, ...] = ()
    after: tuple[Gop, ...] = ()
    heads: tuple[SignedHead, ...] = ()


class Hole(Struct, frozen=True, array_like=True):
    """A time that the clip lacks, and why, as the box told when it made it."""

    since: datetime
    until: datetime
    cause: str


class ClipRequest(Struct, frozen=True, kw_only=True):
    """Who asked for a clip of what time, for which incident, and what for."""

    since: datetime
    until: datetime
    by: str = ""
    incident: str = ""
    purpose: str = ""


class ClipManifest(Struct, frozen=True, kw_only=True):
    """The signed claims. `media_*` are of the file up to the seal.

    `stream` is `sub` where the camera's small stream was asked for, or alone is left.
    """

    format: Literal["poleside.clip.v1"] = FORMAT
    box: str
    camera: str
    request: ClipRequest
    start_at: datetime
    end_at: datetime
    exported_at: datetime
    clock_quality: str
    versions: dict[str, str]
    codec: str
    parameters: bytes
    media_bytes: int
    media_sha256: bytes
    stretches: tuple[Stretch, ...]
    stream: str = "main"
    handovers: tuple[str, ...] = ()  # of the box's keys, each signed by the old one
    told: tuple[VideoHeads, ...] = ()  # the lists over its heads of which a center has the digest
    holes: tuple[Hole, ...] = ()


class SignedManifest(Struct, frozen=True, kw_only=True):
    """A manifest with who signed it, and whether the signature is true to that key."""

    manifest: ClipManifest
    key: PublicKey
    is_signed: bool


def sign_manifest(manifest: ClipManifest, key: BoxKey) -> bytes:
    """Return the compact JWS."""
    return jws.sign("poleside-clip+json", msgspec.json.encode(manifest), key)


def open_manifest(token: bytes) -> SignedManifest:
    """Read a compact JWS. Raises `StorageError` clip.bad_manifest when it can't be read at all."""
    try:
        opened = jws.open_token(token)
        manifest = msgspec.json.decode(opened.payload, type=ClipManifest)
    except (ValueError, msgspec.MsgspecError) as error:
        raise StorageError(
            "clip.bad_manifest",
            f"The clip's manifest can't be read: {error}.",
            hint="Ask the box's owner for the clip anew.",
        ) from error
    return SignedManifest(manifest=manifest, key=opened.key, is_signed=opened.is_signed)
