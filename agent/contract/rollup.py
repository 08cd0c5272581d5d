"""An hour of the box's health in one small record of stream `t`: kept and acknowledged.

Telemetry is lost while the link is down; of such an hour this much remains.
"""

from typing import Literal

from msgspec import Struct

from agent.contract.events import StreamName, TimeQuality, UtcTime

HEALTH_TYPE = "edge.rollup.health.v1"


class Spread(Struct, frozen=True, array_like=True):
    """The least, the mean and the most of what was seen."""

    least: float
    mean: float
    most: float


class CameraHour(Struct, frozen=True, array_like=True):
    """One camera. `frames` came on the main stream; shares are of the box's looks at it."""

    camera_id: str
    frames: int
    gaps: int
    online_share: float
    recording_share: float
    main_fps: Spread | None
    sub_fps: Spread | None


class HealthHour(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was seen in `looks` from `since` on; shorter than an hour when the agent was stopped.

    What the board can't tell is None; a MB is 10^6 bytes. `connects` to the broker,
    `connected_share` of the looks.
    """

    since: UtcTime
    lasted_s: float
    looks: int
    connected_share: float
    connects: int = 0
    temperature_c: Spread | None = None
    cpu_pct: Spread | None = None
    memory_free_mb: Spread | None = None
    disk_free_mb: Spread | None = None
    puback_ms: Spread | None = None
    ack_ms: Spread | None = None
    cameras: tuple[CameraHour, ...] = ()


class HealthRecord(Struct, frozen=True, kw_only=True):
    """The hour in the envelope of all records."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str = HEALTH_TYPE
    time: UtcTime
    seq: int
    stream: StreamName = StreamName.TELEMETRY
    epoch: str
    boot: int | None = None  # not told, nor `tq`, by boxes of before
    tq: TimeQuality | None = None
    data: HealthHour
