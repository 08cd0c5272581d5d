"""How a box and its center agree on a file: what the box asks for, and the addresses it gets.

Files never travel over MQTT. The box has a file (a clip, a snapshot, a report), bound by `sha256`
to the order in whose reply it is named, to the incident whose event names it under `files`, or to
the entry of the audit chain that names it (`event` is that record's id then). It asks for
addresses with a reply (`need`, code `need.upload`); the center answers with the order
`upload.urls`. Up to `SINGLE_BYTES` it is one presigned PUT, above it presigned parts of
`PART_BYTES` (S3 multipart), which the center puts together and checks. Parts go in their order, so
what has arrived can be watched before the rest has. A final reply `failed`, as when the grant of
the order has ended (`grant.over`), says that no more will come: the center aborts the upload then.
"""

from typing import Annotated

from msgspec import Meta, Struct

SINGLE_BYTES = 8 * 1024 * 1024
PART_BYTES = 5 * 1024 * 1024
MOST_PARTS_ASKED = 6  # so many presigned addresses fit into one order

NEED_UPLOAD = "need.upload"
PartNumber = Annotated[int, Meta(ge=1, le=10_000)]
PartUrl = Annotated[str, Meta(min_length=1, max_length=4096)]


class SentPart(Struct, frozen=True, kw_only=True):
    """A part that the store has taken; `etag` is what it answered, without quotes."""

    number: PartNumber
    etag: str


class NeedUpload(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a box asks of its center for the file of one order, or of the incident `event`.

    `parts` are the numbers that it has no address for (the first few). None left: the center puts
    the file together from `sent`, checks `sha256`, and answers `complete`.
    """

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    bytes: Annotated[int, Meta(ge=1)]
    content_type: str
    parts_total: PartNumber
    parts: tuple[PartNumber, ...] = ()
    sent: tuple[SentPart, ...] = ()
    event: str = ""

    @property
    def is_multipart(self) -> bool:
        """Whether the file goes in parts that the center puts together."""
        return self.parts_total > 1


def part_count(size_bytes: int) -> int:
    """Return in how many parts a file of this size is sent."""
    return 1 if size_bytes <= SINGLE_BYTES else -(-size_bytes // PART_BYTES)


def part_range(size_bytes: int, number: int) -> tuple[int, int]:
    """Return (offset, length) in bytes of part `number`, which counts from 1."""
    if part_count(size_bytes) == 1:
        return 0, size_bytes
    offset = (number - 1) * PART_BYTES
    return offset, min(PART_BYTES, size_bytes - offset)
