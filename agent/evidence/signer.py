"""The box's word for the chain: once a minute it signs the head."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from agent.evidence.box_key import BoxKey, PublicKey

_TAG = b"poleside.head.v1\0"


class HeadStatement(Struct, frozen=True, kw_only=True):
    """What is signed: "after GOP `seq` of `run` the chain of this camera stood at `link`".

    `media_us` is when that GOP began, `signed_us` when it was signed, both UTC microseconds.
    """

    box: str
    camera: str
    run: int
    seq: int
    link: bytes
    media_us: int
    signed_us: int
    clock_quality: str

    def text(self) -> bytes:
        """Return the exact bytes that are signed."""
        return _TAG + msgspec.json.encode(self, order="sorted")


class SignedHead(Struct, frozen=True, kw_only=True):
    """A statement with its signature (ES256, r || s) and the signing key's fingerprint."""

    head: HeadStatement
    key_id: str
    signature: bytes

    def is_signed_by(self, key: PublicKey) -> bool:
        """Say whether `key` signed exactly this."""
        return key.verifies(self.signature, self.head.text())


def sign_head(key: BoxKey, head: HeadStatement) -> SignedHead:
    """Return `head` signed by the box."""
    return SignedHead(head=head, key_id=key.public.fingerprint, signature=key.sign(head.text()))
