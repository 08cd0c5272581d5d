"""A health sample of the box. Not kept and not acknowledged; unknown is None, never 0."""

from enum import StrEnum
from typing import Literal

from msgspec import Struct

from agent.contract.events import TimeQuality, UtcTime
from agent.contract.presence import State


class CameraState(StrEnum):
    """The words of the camera workers (`agent.messages.worker`), on the wire."""

    ONLINE = "online"
    CONNECTING = "connecting"
    LOST = "lost"
    AUTH_FAILED = "auth-failed"
    NOT_A_CAMERA = "not-a-camera"
    UNKNOWN = "unknown"


class TrialSample(Struct, frozen=True, kw_only=True):
    """A rule in its shadow time: in `lasted_days` of `days` it would have raised so many."""

    rule_id: str
    days: float
    lasted_days: float
    raised: int


class AlarmSample(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One camera's alarms of the last 24 hours: the meter of false alarms.

    `lowered` were notices because of earlier verdicts, `limited` stand for more than one; `shadow`
    is what rules in their shadow time would have raised; `trials` tells it by rule.
    """

    raised: int = 0
    lowered: int = 0
    limited: int = 0
    judged_true: int = 0
    judged_false: int = 0
    shadow: int = 0
    trials: tuple[TrialSample, ...] = ()


class CameraSample(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one camera does; `recording` and `detecting` are true only while it really happens."""

    camera_id: str
    state: CameraState
    since: UtcTime | None = None
    code: str = ""
    detail: str = ""
    recording: bool | None = None
    detecting: bool | None = None
    main_fps: float | None = None
    sub_fps: float | None = None
    main_bps: float | None = None
    detect_fps: float | None = None
    detect_ms: float | None = None
    shed_share: float | None = None  # of the looks it wished for, since the last sample: not had
    recorded_until: UtcTime | None = None
    gaps_total: int | None = None
    alarms: AlarmSample | None = None
    counters: dict[str, int] = {}
    clock_ahead_s: float | None = None  # its own clock against the box's, to a second


class DataSample(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How sparing the box is with its line, and what it has held back this month (UTC).

    `mode`: normal; sparing: events go without thumbnails; storm: alarms, too; spent: the month's
    `limit_bytes` are used up. `replay` sends a record again, with its thumbnail when there is room.
    """

    month: str
    mode: str
    used_bytes: int = 0
    limit_bytes: int | None = None
    pictures_held: int = 0
    samples_held: int = 0


class LinkSample(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The connection to the broker, told by the box itself. `line`: wired or lte."""

    endpoint: str = ""
    line: str = ""
    connects_total: int = 0
    connected_s: float | None = None
    puback_ms: float | None = None
    ack_ms: float | None = None
    last_error: str = ""
    mqtt: str = ""
    data: DataSample | None = None


class OutboxSample(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What waits for the center and what was given up, over all streams."""

    waiting: int
    waiting_bytes: int
    oldest_s: float | None = None
    queued_total: int
    acked_total: int
    evicted_total: int
    resent_total: int = 0


class UploadSample(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Files that wait to be sent by HTTP. `held`: for what, "window", "budget" or "line"."""

    waiting: int
    waiting_bytes: int
    held: str = ""
    sent_bytes_total: int = 0


class RailSample(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One measured supply line; `over_current` while it passes its critical limit."""

    volts: float | None = None
    amps: float | None = None
    over_current: bool | None = None


class PowerSample(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What holds the processor back, and the supply's lines by name; `…_before`: since the boot.

    `mode` is the board's own name of its power mode.
    """

    frequency_capped: bool | None = None
    soft_limited: bool | None = None
    throttled_before: bool | None = None
    undervoltage_before: bool | None = None
    mode: str = ""
    rails: dict[str, RailSample] = {}


class BoardSample(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the board says of itself. What it can't tell is None.

    `fan_rpm` is of the slowest fan that is counted; `disk_written_bytes` counts since the boot, all
    partitions together; `disk_wear` is the medium's own word on its spare blocks. `heat_band` is
    how much detection gives way to heat. `silent` are parts that do not answer. `contacts` and
    `outputs` are what hangs on the pole, by id: a contact's state, and whether an output is on;
    `bell_tests` is what the last daily test showed: well, silent, hangs or untested. Clocks are of
    the fastest core, the GPU and the memory controller.
    """

    temperature_c: float | None = None
    throttled: bool | None = None
    undervoltage: bool | None = None
    cpu_pct: float | None = None
    memory_free_bytes: int | None = None
    disk_free_bytes: int | None = None
    uptime_s: float | None = None
    simulated: bool = False
    fan_rpm: int | None = None
    on_battery: bool | None = None
    battery_pct: int | None = None
    disk_life_used_pct: int | None = None
    disk_wear: Literal["normal", "warning", "urgent"] | None = None
    disk_read_only: bool | None = None
    disk_written_bytes: int | None = None
    watchdog_reset: bool | None = None
    heat_band: str | None = None
    silent: tuple[str, ...] = ()
    contacts: dict[str, str] = {}
    outputs: dict[str, bool | None] = {}
    disk_failing: bool | None = None
    watchdog_armed: bool | None = None
    clock_chip: bool | None = None
    power: PowerSample | None = None
    bell_tests: dict[str, str] = {}
    cpu_mhz: int | None = None
    gpu_load_pct: float | None = None
    gpu_mhz: int | None = None
    memory_mhz: int | None = None


class ProcessSample(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One process of the agent: proportional memory and share of one core."""

    name: str
    pss_bytes: int | None = None
    cpu_pct: float | None = None
    restarts_total: int = 0


class FaultSample(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong: its code in the catalogue, of what ("camera/gate", "disk", …)."""

    code: str
    subject: str
    severity: Literal["red", "yellow"]
    since: UtcTime | None = None


class Telemetry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One sample. `state` repeats presence: retained messages and wills can't be trusted alone.

    `detector_engine` is what the detector runs on, "motion-only" when no engine works.
    `clock_ahead_s`: how far the box's clock is ahead of the center's, by the center's last orders.
    `faults` has the worst; `faults_untold` more are known to the box. `read_back` is a code that
    somebody at the center reads to the technician at the pole, who types it in there.
    """

    t: UtcTime
    mono: float
    tq: TimeQuality
    state: State | None = None
    cameras: tuple[CameraSample, ...] = ()
    link: LinkSample | None = None
    outbox: OutboxSample | None = None
    uploads: UploadSample | None = None
    board: BoardSample | None = None
    processes: tuple[ProcessSample, ...] = ()
    detector_ms: float | None = None  # a look's, at most; by shape of picture in `Info`
    detector_engine: str = ""
    clock_ahead_s: float | None = None
    faults: tuple[FaultSample, ...] = ()
    faults_untold: int = 0
    read_back: str = ""
