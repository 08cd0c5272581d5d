"""What the center keeps so that a box's owner can't rewrite the past: records of stream `u`.

Once an hour one record for the whole box: a digest of each video chain's signed heads, purge
records summed up, the audit chain's head. And the keys the box signs with. Signatures are ES256
(r || s, base64url) over the bytes that `to_sign` names. `VideoHeads`, `AuditHead` and `PurgeCopy`
are what boxes told one by one before there was `BoxHour`; they are understood for good.
"""

import hashlib
from base64 import urlsafe_b64encode
from typing import Literal

import msgspec
from msgspec import Struct

from agent.contract.events import StreamName, TimeQuality, UtcTime

HOUR_TYPE = "edge.evidence.hour.v1"
HEADS_TYPE = "edge.evidence.heads.v1"
AUDIT_HEAD_TYPE = "edge.evidence.audit-head.v1"
PURGE_TYPE = "edge.evidence.purge.v1"
KEY_TYPE = "edge.evidence.key.v1"


def sha256_b64(text: bytes) -> str:
    """Return a SHA-256 as these records tell it: base64url without padding."""
    return urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()


class HeadMark(Struct, frozen=True, array_like=True):
    """After GOP `seq` of `run`, which began at `media_us` (UTC), the chain stood at `link`."""

    run: int
    seq: int
    media_us: int
    link: str  # SHA-256, base64url


class VideoHeads(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Every head of a camera's chain signed since the last such list, oldest first.

    The sub stream, where it is recorded, has a chain of its own; `stream` is told of that only.
    """

    camera_id: str
    heads: tuple[HeadMark, ...]
    stream: str = "main"

    def to_sign(self) -> bytes:
        return msgspec.json.encode(self, order="sorted")

    def digest(self) -> str:
        """Return what a center is told of the list: SHA-256 of its text, base64url."""
        return sha256_b64(self.to_sign())


class HeadPlace(Struct, frozen=True, array_like=True):
    """Where a head stands in its chain: after GOP `seq` of `run`, begun at `media_us` (UTC)."""

    run: int
    seq: int
    media_us: int


class HeadsDigest(Struct, frozen=True, array_like=True):
    """A `VideoHeads`, from its `first` head to its `last`, by its digest.

    A clip carries the list itself, so that whoever holds the digest can check each minute of it.
    """

    camera_id: str
    first: HeadPlace
    last: HeadPlace
    digest: str
    stream: str


class PurgeHead(Struct, frozen=True, array_like=True):
    """A camera's purge records reach up to `number`; `sha256` (base64url) is of that one's text.

    Each record carries the hash of the one before, so it stands for all of them.
    """

    camera_id: str
    number: int
    sha256: str


class PurgeSum(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The purge records of all cameras since the last hour told, summed up.

    `rules` counts the segments that went, by why; `from_s` to `until_s` is the time deleted, UTC.
    """

    heads: tuple[PurgeHead, ...]
    rules: dict[str, int]
    bytes: int
    from_s: int | None = None
    until_s: int | None = None


class BoxHour(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the box's evidence came to since the last such record.

    `audit` is the hash of the audit chain's last entry; it is the last one before this record.
    """

    audit: str
    heads: tuple[HeadsDigest, ...] = ()
    purges: PurgeSum | None = None

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


EvidenceData = BoxHour | VideoHeads | AuditHead | PurgeCopy | BoxKeyData


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
    boot: int | None = None  # not told, nor `tq`, by boxes of before
    tq: TimeQuality | None = None
    key: str
    signature: str


class BoxHourRecord(_Envelope, frozen=True, kw_only=True):
    type: str = HOUR_TYPE
    data: BoxHour


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


EvidenceRecord = BoxHourRecord | VideoHeadsRecord | AuditHeadRecord | PurgeRecord | BoxKeyRecord
RECORD_OF: dict[type[EvidenceData], type[EvidenceRecord]] = {
    BoxHour: BoxHourRecord,
    BoxKeyData: BoxKeyRecord,
}
BY_TYPE: dict[str, type[EvidenceRecord]] = {
    HOUR_TYPE: BoxHourRecord,
    HEADS_TYPE: VideoHeadsRecord,
    AUDIT_HEAD_TYPE: AuditHeadRecord,
    PURGE_TYPE: PurgeRecord,
    KEY_TYPE: BoxKeyRecord,
}
