"""What the page may ask of the box: plain answers, made by the core process, shown by the page.

`None` always means "unknown" and is shown so. Times are aware UTC, ages come from monotonic time.
Everything here may be seen by whoever opens the page, so no secret belongs in it.
"""

from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from agent.contract.events import Region, TimeQuality, UtcTime
from agent.contract.telemetry import BoardSample

WORKER = "camera-"  # a camera worker's process is called so, and by its camera


class Light(StrEnum):
    """The one traffic light: green = all well, yellow = soon, red = now."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


class CameraState(StrEnum):
    """`agent.messages.worker`'s words, and `degraded`: it sends, but not all that it should."""

    ONLINE = "online"
    DEGRADED = "degraded"
    CONNECTING = "connecting"
    LOST = "lost"
    AUTH_FAILED = "auth-failed"
    NOT_A_CAMERA = "not-a-camera"
    UNKNOWN = "unknown"


class Fault(Struct, frozen=True, kw_only=True):
    """One thing a person should know, in a plain sentence, and the one thing to do about it."""

    code: str
    sentence_en: str
    sentence_ko: str
    hint_en: str
    hint_ko: str
    light: Light = Light.RED
    camera_id: str | None = None


class TrialView(Struct, frozen=True, kw_only=True):
    """A rule in its shadow time: what it would have raised in `lasted_days` of `days`."""

    rule_id: str
    raised: int
    lasted_days: float
    days: float


class CameraView(Struct, frozen=True, kw_only=True):
    """One camera just now. `is_recording` is true only while frames really reach the disk.

    `is_event_only`: what it records is kept around events alone. `shed_share`: of the looks it
    wished for, not had because the detector is shared or away.
    """

    camera_id: str
    name: str
    state: CameraState = CameraState.UNKNOWN
    since: UtcTime | None = None
    is_recording: bool | None = None
    is_event_only: bool = False
    recorded_s: float | None = None
    sub_fps: float | None = None
    gaps: int | None = None
    detections: int | None = None
    detector: str = "unknown"
    shed_share: float | None = None
    trials: tuple[TrialView, ...] = ()
    has_ptz: bool = False
    is_simulated: bool = False


class LinkView(Struct, frozen=True, kw_only=True):
    """The connection to the center's broker; `endpoint` without its user part."""

    is_connected: bool | None = None
    endpoint: str = ""
    since: UtcTime | None = None
    last_error: str | None = None


class OutboxView(Struct, frozen=True, kw_only=True):
    """What waits for the center's acknowledgement. `queued` counts by stream name."""

    queued: dict[str, int] = {}
    oldest_age_s: float | None = None
    acked: int | None = None
    evicted: int | None = None


class LatencyView(Struct, frozen=True, kw_only=True):
    """From the frame that decided to the center's acknowledgement, in milliseconds."""

    p50_ms: float | None = None
    p95_ms: float | None = None


class ProcessView(Struct, frozen=True, kw_only=True):
    """One process of the box. `cpu_pct` is of one core."""

    name: str
    state: str
    pid: int | None = None
    restarts: int | None = None
    pss_mib: float | None = None
    cpu_pct: float | None = None


class DiskView(Struct, frozen=True, kw_only=True):
    """The disk that holds the recordings."""

    free_bytes: int | None = None
    total_bytes: int | None = None
    recorded_bytes: int | None = None


class BoardView(Struct, frozen=True, kw_only=True):
    """What the board says of itself."""

    name: str = ""
    is_simulated: bool = False
    temperature_c: float | None = None
    is_throttled: bool | None = None
    voltage_v: float | None = None
    is_undervolted: bool | None = None


class BoxState(Struct, frozen=True, kw_only=True):
    """The whole front page but its pictures. `hardware` is what the center is told of the board."""

    box_id: str
    site: str
    version: str
    utc_now: UtcTime
    tq: TimeQuality
    light: Light
    faults: tuple[Fault, ...] = ()
    cameras: tuple[CameraView, ...] = ()
    link: LinkView = LinkView()
    outbox: OutboxView = OutboxView()
    latency: LatencyView = LatencyView()
    processes: tuple[ProcessView, ...] = ()
    disk: DiskView = DiskView()
    board: BoardView = BoardView()
    hardware: BoardSample | None = None


class LiveObject(Struct, frozen=True, kw_only=True):
    """One object found in the very picture it comes with."""

    label: str
    score: float
    region: Region
    track_id: int | None = None


class LiveZone(Struct, frozen=True, kw_only=True):
    """A rule's zone or line, fractions of the frame; `is_active` while its rule holds."""

    rule_id: str
    polygon: tuple[tuple[float, float], ...]
    is_active: bool = False
    grade: str = ""


class LivePicture(Struct, frozen=True, kw_only=True):
    """The newest picture of a camera with what was found in that same frame."""

    jpeg: bytes
    taken_mono_s: float
    width_px: int
    height_px: int
    objects: tuple[LiveObject, ...] = ()
    zones: tuple[LiveZone, ...] = ()


class TimelineGap(Struct, frozen=True, kw_only=True):
    """Time without recording, and why. `until=None`: it still lasts."""

    began: UtcTime
    until: UtcTime | None = None
    cause: str


class TimelineEvent(Struct, frozen=True, kw_only=True):
    """An event on the time axis. `until=None`: it still lasts."""

    began: UtcTime
    until: UtcTime | None = None
    kind: str
    event_id: str


class Timeline(Struct, frozen=True, kw_only=True):
    """What was recorded between `began` and `until`, oldest first.

    `sub_segments` are of the sub stream where no main one is left; `held_segments` wait in memory
    for an event and else go again.
    """

    began: UtcTime
    until: UtcTime
    segments: tuple[tuple[UtcTime, UtcTime], ...] = ()
    sub_segments: tuple[tuple[UtcTime, UtcTime], ...] = ()
    held_segments: tuple[tuple[UtcTime, UtcTime], ...] = ()
    gaps: tuple[TimelineGap, ...] = ()
    events: tuple[TimelineEvent, ...] = ()


class EventView(Struct, frozen=True, kw_only=True):
    """One incident, as far as it is known."""

    event_id: str
    kind: str
    phase: str
    began: UtcTime
    ended: UtcTime | None = None
    camera_id: str | None = None
    rule_id: str | None = None
    labels: tuple[str, ...] = ()
    detail: str | None = None
    grade: str | None = None
    has_picture: bool = False
    is_acked: bool | None = None


class BoxView(Protocol):
    """The box as the page sees it. Answers come from memory or a read-only database."""

    async def state(self) -> BoxState:
        """Return the state of everything but pictures."""
        ...

    async def live(self, camera_id: str) -> LivePicture | None:
        """Return the newest picture, or None: no such camera, or no picture yet."""
        ...

    async def timeline(self, camera_id: str, last_s: float) -> Timeline | None:
        """Return the last `last_s` seconds of a camera's recording, or None: no such camera."""
        ...

    async def events(self, limit: int) -> tuple[EventView, ...]:
        """Return the newest `limit` incidents, newest first."""
        ...

    async def picture(self, event_id: str) -> bytes | None:
        """Return an event's JPEG, or None: no such event, or it has no picture."""
        ...

    async def event_camera(self, event_id: str) -> str | None:
        """Return whose event it is, or None: the box's own, or no such event."""
        ...
