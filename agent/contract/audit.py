"""Who ordered what, and what came of it: hash-chained entries in stream `u`."""

import hashlib
from typing import Literal

import msgspec
from msgspec import Struct

from agent.contract.events import StreamName, UtcTime

AUDIT_TYPE = "edge.audit.command.v1"
CHAIN_START = "0" * 64


class AuditEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of one command. `hash` covers `prev` and every other field.

    `sha256` is that of the file which the command made, `grant` the id of what allowed it.
    """

    command_id: str
    op: str
    actor: str
    agency: str = ""
    case: str = ""
    outcome: str
    code: str = ""
    at: UtcTime | None = None  # when it was done, for what was done while nobody could chain it
    detail: str = ""
    sha256: str = ""
    grant: str = ""
    prev: str = CHAIN_START
    hash: str = ""

    def sealed(self, prev: str) -> "AuditEntry":
        """Return this entry chained behind the one whose hash is `prev`."""
        bare = msgspec.structs.replace(self, prev=prev, hash="")
        digest = hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()
        return msgspec.structs.replace(bare, hash=digest)

    def is_sealed(self) -> bool:
        """Say whether the hash is true to the content."""
        return self.sealed(self.prev).hash == self.hash


class AuditRecord(Struct, frozen=True, kw_only=True):
    """An audit entry in the envelope of all records."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str = AUDIT_TYPE
    time: UtcTime
    seq: int
    stream: StreamName = StreamName.AUDIT
    epoch: str
    data: AuditEntry
