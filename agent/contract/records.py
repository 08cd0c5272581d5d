"""What a center needs of any record of any stream, before it looks inside.

Events, audit entries and roll-ups share the envelope; a `Gap` stands for numbers that will never
come. A message on `up/evt`, `up/aud` carries an array of them, on `up/alm` a single one.
"""

import msgspec
from msgspec import Raw, Struct

from agent.contract.events import Gap, StreamName


class RecordHead(Struct, frozen=True, kw_only=True):
    """The head of a record: enough to store it once. `id` and `type` are missing in a gap."""

    stream: StreamName
    epoch: str
    seq: int
    source: str = ""
    id: str = ""
    type: str = ""
    subject: str = ""
    phase: str = ""
    kind: str = ""
    until_seq: int | None = None
    why: str = ""

    @property
    def is_gap(self) -> bool:
        """Whether it stands for numbers `seq`..`until_seq` that will never come."""
        return self.kind == "gap"

    @property
    def last_seq(self) -> int:
        """The last number this record accounts for."""
        return self.seq if self.until_seq is None else self.until_seq


_heads = msgspec.json.Decoder(RecordHead)
_array = msgspec.json.Decoder(tuple[Raw, ...])


def split(payload: bytes) -> list[tuple[RecordHead, bytes]]:
    """Return head and bytes of each record of one message.

    Raises `msgspec.MsgspecError` when the payload is not what the contract says.
    """
    parts = _array.decode(payload) if payload[:1] == b"[" else (Raw(payload),)
    return [(_heads.decode(part), bytes(part)) for part in parts]


def join(bodies: list[bytes]) -> bytes:
    """Return one message of several encoded records."""
    return b"[" + b",".join(bodies) + b"]"


def encode_gap(gap: Gap) -> bytes:
    """Return a gap as a record's bytes."""
    return msgspec.json.encode(gap)
