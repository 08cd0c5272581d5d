"""One camera's day: how much of it is recorded, and why the rest is not. Signed by the box."""

from typing import Literal

import msgspec
from msgspec import Struct

from agent.contract.events import StreamName, TimeQuality, UtcTime

COVERAGE_TYPE = "edge.rollup.coverage.v1"


class Coverage(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`covered` of `minutes` have at least 95 % of their frames; `missing_s` by cause.

    `frames_expected` is None when the camera's frame rate was never known. In `event_only` of the
    minutes, frames were held for an event to come and kept only where there was one. It is left
    out when it is 0, so that signatures of before it are true to what they signed.
    """

    camera_id: str
    day: str
    minutes: int
    covered: int
    frames_stored: int
    frames_expected: int | None
    missing_s: dict[str, float]
    event_only: int = 0

    def to_sign(self) -> bytes:
        """Return the bytes a signature covers: JSON with sorted keys."""
        return msgspec.json.encode(self, order="sorted")


class CoverageRecord(Struct, frozen=True, kw_only=True):
    """The summary in the envelope of all records; `signature` is ES256 over `data.to_sign()`."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str = COVERAGE_TYPE
    subject: str
    time: UtcTime
    seq: int
    stream: StreamName = StreamName.TELEMETRY
    epoch: str
    boot: int | None = None  # not told, nor `tq`, by boxes of before
    tq: TimeQuality | None = None
    data: Coverage
    key: str
    signature: str
