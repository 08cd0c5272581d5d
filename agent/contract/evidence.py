"""What the center keeps so that a box's owner can't rewrite the past: records of stream `u`.

Heads of each camera's video chain (hourly), the audit chain's head, purge records, and the keys
the box signs with. Signatures are ES256 (r || s, base64url) over the bytes that `to_sign` names.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from agent.contract.events import StreamName, UtcTime

HEADS_TYPE = "edge.evidence.heads.v1"
AUDIT_HEAD_TYPE = "edge.evidence.audit-head.v1"
PURGE_TYPE = "edge.evidence.purge.v1"
KEY_TYPE = "edge.evidence.key.v1"


class HeadMark(Struct, frozen=True, array_like=True):
    """After GOP `seq` of `run`, which began at `media_us` (UTC), the chain stood at `link`."""

    run: int
    seq: int
    media_us: int
    link: str  # SHA-256, base64url


class VideoHeads(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every head of a camera's chain signed since the last such record, oldest first.

    The sub stream, where it is recorded, has a chain of its own; `stream` is told of that only.
    """

    camera_id: str
    heads: tuple[HeadMark, ...]
    stream: str = "main"

    def to_sign(self) -> bytes:
        return msgspec.json.encode(self, order="sorted")


class AuditHead(Struct, frozen=True, kw_only=True):
    """The audit chain's last entry has this hash; it is the last one before this record."""

    hash: str

    def to_sign(self) -> bytes:
        return msgspec.json.encode(self, order="sorted")


class PurgeCopy(Struct, frozen=True, kw_only=True):
    """A purge record of one camera, as the exact text that is signed: what was deleted, and why."""

    body: str

    def to_sign(self) -> bytes:
        return self.body.encode()


class BoxKeyData(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key of the box (JWK) and where it lies; `handover` is the old key's word for it (JWS)."""

    kty: Literal["EC"] = "EC"
    crv: Literal["P-256"] = "P-256"
    x: str
    y: str
    kind: str
    handover: str = ""

    def to_sign(self) -> bytes:
        return msgspec.json.encode(self, order="sorted")


EvidenceData = VideoHeads | AuditHead | PurgeCopy | BoxKeyData


class _Envelope(Struct, frozen=True, kw_only=True):
    """As of all records, with the fingerprint of the signing key and its signature."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    subject: str = ""
    time: UtcTime
    seq: int
    stream: StreamName = StreamName.AUDIT
    epoch: str
    key: str
    signature: str


class VideoHeadsRecord(_Envelope, frozen=True, kw_only=True):
    type: str = HEADS_TYPE
    data: VideoHeads


class AuditHeadRecord(_Envelope, frozen=True, kw_only=True):
    type: str = AUDIT_HEAD_TYPE
    data: AuditHead


class PurgeRecord(_Envelope, frozen=True, kw_only=True):
    type: str = PURGE_TYPE
    data: PurgeCopy


class BoxKeyRecord(_Envelope, frozen=True, kw_only=True):
    type: str = KEY_TYPE
    data: BoxKeyData


EvidenceRecord = VideoHeadsRecord | AuditHeadRecord | PurgeRecord | BoxKeyRecord
RECORD_OF: dict[type[EvidenceData], type[EvidenceRecord]] = {
    VideoHeads: VideoHeadsRecord,
    AuditHead: AuditHeadRecord,
    PurgeCopy: PurgeRecord,
    BoxKeyData: BoxKeyRecord,
}
BY_TYPE: dict[str, type[EvidenceRecord]] = {
    HEADS_TYPE: VideoHeadsRecord,
    AUDIT_HEAD_TYPE: AuditHeadRecord,
    PURGE_TYPE: PurgeRecord,
    KEY_TYPE: BoxKeyRecord,
}
