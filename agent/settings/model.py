"""The typed settings of a box: what may be set, its limits and its defaults.

Unknown keys are errors, so that a typing mistake is never silently ignored. Secrets are plain
values here and are hidden wherever settings are shown (`agent.core.redact`).
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from agent.contract.events import CapStatus, Fraction, Slug
from agent.messages.engines import Engine
from agent.settings.camera_checks import check_camera_labels, check_feeds
from agent.settings.camera_io import CameraRelay, Token
from agent.settings.pole import PoleSettings
from agent.settings.ptz import PtzSettings
from agent.settings.rules import Calibration, Rule, Zone
from agent.settings.rules import IntrusionRule as IntrusionRule  # noqa: PLC0414 - kept for readers
from agent.settings.schedule import zone_named
from agent.settings.shapes import check_zone
from agent.settings.stand import StandSettings

NORMAL_PRIORITY = 5
PositiveInt = Annotated[int, Meta(ge=1)]
PositiveFloat = Annotated[float, Meta(gt=0)]


class CameraSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One camera beside the box. Give `onvif_url`, or the stream addresses, or both.

    An rtsps:// camera's certificate is verified: `tls_ca_file` (PEM) holds the authority that
    signed it, `tls_host` the name in it where that isn't the address. A worker that grows past
    `max_rss_bytes` is replaced. With `look` off it is only recorded: its sub stream is left alone
    but while a grant shows it, so nothing is detected and there is no motion, picture health or
    snapshot. `record_sub` records the sub stream, too: it remains when `buffer.sub_after_days`
    takes the main stream.
    `record_audio` takes effect only in the center's signed configuration, with its reason.

    `tls_fingerprint` (SHA-256) pins the certificate of an https:// ONVIF address. `bell_inputs`
    are tokens of the camera's digital inputs that are emergency bells ("*": all of them);
    `bell_closed_inputs` names the second input of a changeover button, active while it rests, by
    the token of the first: both alike is a cut wire.
    `power_output` is the output of the pole that feeds the camera: leaving its safe state for some
    seconds starts a hung camera anew.

    `masks` are polygons that the box blackens before it looks: nothing is detected there, and its
    snapshots, thumbnails and the page's picture don't show it. The recording does, unless the
    camera has the mask itself.

    `close_look` looks again, closer, at the part of the picture where people are small: while the
    detector has time to spare and the box is cool, and where it finds more. Each such look costs
    another inference.

    `priority`: who keeps its detection longest when the box is hot or the detector is overloaded, 9
    before 1; of equal ones the first in the settings. Recording is the same for all.
    """

    camera_id: Slug
    name: str = ""
    main_url: str = ""
    sub_url: str = ""
    onvif_url: str = ""
    username: str = ""
    password: str = ""
    tls_ca_file: str = ""
    tls_host: str = ""
    tls_verify: bool = True
    tls_fingerprint: Annotated[str, Meta(pattern="^([0-9a-f]{64})?$")] = ""
    bell_inputs: tuple[Token, ...] = ()
    bell_closed_inputs: dict[Token, Token] = {}
    relays: tuple[CameraRelay, ...] = ()
    ptz: PtzSettings = PtzSettings()
    power_output: str = ""
    record: bool = True
    record_sub: bool = False
    record_audio: bool = False
    audio_reason: str = ""
    look: bool = True
    detect: bool = True
    stall_s: Annotated[float, Meta(ge=2, le=60)] = 8.0
    max_rss_bytes: Annotated[int, Meta(ge=64 * 1024 * 1024)] = 256 * 1024 * 1024
    detect_fps: Annotated[float, Meta(gt=0, le=30)] = 5.0
    close_look: bool = False
    priority: Annotated[int, Meta(ge=1, le=9)] = NORMAL_PRIORITY
    thresholds: dict[str, Fraction] = {}  # classes this camera sees fainter or falser than usual
    rules: tuple[Rule, ...] = ()
    masks: Annotated[tuple[Zone, ...], Meta(max_length=8)] = ()
    calibration: Calibration | None = None
    stand: StandSettings | None = None

    def __post_init__(self) -> None:
        if not (self.main_url or self.onvif_url):
            raise ValueError(f"camera `{self.camera_id}` needs `main_url` or `onvif_url`")
        if self.record_audio and not self.audio_reason.strip():
            raise ValueError(f"camera `{self.camera_id}` needs `audio_reason` to `record_audio`")
        ids = [rule.rule_id for rule in self.rules]
        if len(ids) != len(set(ids)):
            raise ValueError(f"camera `{self.camera_id}` has two rules with one `rule_id`")
        for mask in self.masks:
            check_zone(mask)
        for rule in self.rules:
            if rule.in_metres and not self.calibration:
                other = ", or `area_m2`" if rule.in_metres == "levels" else ""
                raise ValueError(
                    f"rule `{rule.rule_id}` has `{rule.in_metres}` in metres: it needs the"
                    f" camera's `calibration`{other}"
                )


class BufferSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ring of recorded video on the box's disk."""

    segment_s: Annotated[float, Meta(ge=2, le=60)] = 10.0
    sync_s: Annotated[float, Meta(ge=0.5, le=30)] = 1.5  # with fragment and gathering: 2
    retention_days: Annotated[float, Meta(gt=0, le=365)] = 30.0
    max_bytes: PositiveInt | None = None  # of one camera; None: its fair share of the disk
    min_free_bytes: Annotated[int, Meta(ge=0)] = 512 * 1024 * 1024  # low water: pruning begins
    free_again_bytes: PositiveInt | None = None  # high water: it ends; None: a quarter above low
    min_free_inodes: Annotated[int, Meta(ge=0)] = 1000
    mode: Literal["continuous", "events"] = "continuous"  # events: only what lies around hits stays
    stage_bytes: Annotated[int, Meta(ge=0)] = 32 * 1024 * 1024  # … in memory till then; a camera's
    events_keep_s: Annotated[float, Meta(ge=60, le=86_400)] = 300.0  # … once it is this old
    event_pre_s: Annotated[float, Meta(ge=0, le=300)] = 10.0
    event_post_s: Annotated[float, Meta(ge=0, le=300)] = 20.0
    event_lock_days: Annotated[float, Meta(ge=0, le=365)] = 7.0  # 0: events are not locked
    lock_max_share: Annotated[float, Meta(gt=0, le=0.9)] = 0.25  # of the camera's part of the disk
    thin_after_days: Annotated[float, Meta(gt=0, le=365)] | None = None  # then key frames only
    sub_after_days: Annotated[float, Meta(gt=0, le=365)] | None = None  # then a recorded sub alone
    require_mount: str = ""  # a mount point the recordings must lie on; empty: any disk will do
    medium_id: str = ""  # … and the id in its `.poleside-medium`; empty: any id
    second_dir: str = ""  # mount point of a second disk that gets a copy of what is locked
    # Of all cameras, beyond it is a fault; None: what their disk's kind bears, 0: no limit.
    write_budget_bytes_per_day: Annotated[int, Meta(ge=0)] | None = None
    over_budget: Literal["tell", "events"] = "tell"  # events: `mode` is so till the next day (UTC)

    def __post_init__(self) -> None:
        if self.free_again_bytes is not None and self.free_again_bytes < self.min_free_bytes:
            raise ValueError("`free_again_bytes` must not be below `min_free_bytes`")
        if self.medium_id and not self.require_mount:
            raise ValueError("`medium_id` needs `require_mount`")


class TimelapseSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One picture of each camera every `every_s` (0: none), kept long after the ring has turned.

    All cameras' together take `max_share` of the disk at most; then the oldest are thinned first.
    """

    every_s: Annotated[float, Meta(ge=0, le=86_400)] = 600.0
    keep_days: Annotated[float, Meta(gt=0, le=3650)] = 365.0
    width_px: Annotated[int, Meta(ge=160, le=4096)] = 960
    max_bytes: Annotated[int, Meta(ge=8 * 1024, le=1024 * 1024)] = 96 * 1024
    max_share: Annotated[float, Meta(gt=0, le=0.5)] = 0.05


class Neighbours(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two cameras with a way between them, and how long it takes, either way: `[least, most]`."""

    cameras: tuple[Slug, Slug]
    travel_s: tuple[Annotated[float, Meta(ge=0)], Annotated[float, Meta(gt=0, le=600)]]

    def __post_init__(self) -> None:
        if self.travel_s[0] >= self.travel_s[1]:
            raise ValueError("`travel_s` is from the shortest to the longest time")
        if self.cameras[0] == self.cameras[1]:
            raise ValueError("`cameras` must be two")


class SightingSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is remembered of each track for search: how long, and how many bytes a camera.

    With `link` on, who leaves one camera and, by the look, comes to another is linked; what is not
    told in `neighbours` is learned.
    """

    keep_days: Annotated[float, Meta(gt=0, le=365)] = 30.0
    max_bytes: Annotated[int, Meta(ge=1024 * 1024)] = 256 * 1024 * 1024
    link: bool = True
    neighbours: tuple[Neighbours, ...] = ()


class DetectorSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The shared detector. `model` is a folder with a manifest; empty means the one shipped.

    It must be signed by a key in `keys_file` (JWKS). `shadow_model` runs beside it on
    `shadow_share` of the pictures and answers nobody: how far both agree is counted. Without an
    `engine` those the model has a file for and the box a chip are measured, and the best taken.
    """

    model: str = ""
    keys_file: str = ""
    engine: Engine | None = None
    shadow_model: str = ""
    shadow_share: Annotated[float, Meta(gt=0, le=1)] = 0.1
    threads: Annotated[int, Meta(ge=1, le=8)] = 1
    nice: Annotated[int, Meta(ge=0, le=19)] = 5


class BrokerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The city's MQTT broker(s), tried in shuffled order. `mqtt://host:port` or `mqtts://…`.

    `link` says what a byte costs: an LTE box pings a little more rarely, and `[data]` binds it.
    `auto` goes by the interface that leads to the broker just now (`lte_interfaces` are LTE's):
    fibre while it is there, LTE when the system's routes fall back on it. `mqtt_version = "5"` is
    tried first where it is wanted; 3.1.1 works with every broker. `telemetry_coding = "zstd"` sends
    health samples at a quarter of their size or less; any center that knows the contract's
    dictionaries reads both. With a `keepalive_s` over 32 a box that fell silent is not missed
    within a minute.
    """

    urls: Annotated[tuple[str, ...], Meta(min_length=1)] = ("mqtt://127.0.0.1:1883",)
    username: str = ""
    password: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    link: Literal["wired", "lte", "auto"] = "wired"
    lte_interfaces: tuple[str, ...] = ("wwan*", "wwp*", "ppp*")
    mqtt_version: Literal["3.1.1", "5"] = "3.1.1"
    keepalive_s: Annotated[int, Meta(ge=5, le=1200)] | None = None  # None: 30 wired, 32 lte
    publish_timeout_s: PositiveFloat = 30.0
    window_bytes: Annotated[int, Meta(ge=1024, le=1024 * 1024)] = 32 * 1024
    telemetry_coding: Literal["json", "zstd"] = "zstd"

    @property
    def ping_s(self) -> int:
        """The keepalive in force; the broker misses a silent box after one and a half of it.

        Some brokers look only every five seconds, and a center waits for a box to come back: that
        all together must stay below a minute. A longer one is taken, with a warning (`check`).
        """
        if self.keepalive_s is not None:
            return self.keepalive_s
        return 30 if self.link == "wired" else 32


class DataSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a month (UTC) of an LTE line may carry; None: no limit. The bell and alarms always go.

    From `sparing_share` of it on, events go without thumbnails, telemetry is lengthened, and files
    wait unless they were ordered urgently; when it is spent, alarms go without thumbnails, too.
    """

    monthly_bytes: Annotated[int, Meta(ge=1_000_000)] | None = None
    sparing_share: Annotated[float, Meta(gt=0, lt=1)] = 0.7


class CenterSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose signature moves this box: a JWKS file with the center's public keys.

    `onvif_ej`: events of cameras are told a second time, in the JSON shape of ONVIF.
    """

    keys_file: str = ""
    telemetry_s: Annotated[float, Meta(ge=1, le=3600)] = 300.0
    thumbnails: bool = True
    onvif_ej: bool = False


class OutboxAgeSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long records wait for a center that is away: summaries, updates of events, other events.

    Given up only while the clock is synchronised. Alarms and the audit wait for good.
    """

    telemetry: Annotated[float, Meta(ge=1, le=3650)] = 30.0
    updates: Annotated[float, Meta(ge=1, le=3650)] = 30.0
    events: Annotated[float, Meta(ge=1, le=3650)] = 90.0


class OutboxSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    max_bytes: Annotated[int, Meta(ge=64 * 1024)] = 256 * 1024 * 1024
    max_age_days: OutboxAgeSettings = OutboxAgeSettings()
    keep_acked_days: Annotated[float, Meta(ge=0, le=365)] = 7.0


class UploadSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files on their way to the center. The window is UTC and may pass midnight; empty: always.

    An alarm's files (orders of priority 7 and above) ignore the window. The budget of bytes binds
    all; its day is the UTC day. `ca_file` (PEM) is the authority of the file store, if private;
    `plain_http` allows addresses without TLS beyond the box itself. `on_alarm`: what is sent of
    each intrusion unasked; a clip reaches from `alarm_pre_s` before its beginning to
    `alarm_post_s` after it.
    """

    window: Annotated[
        str, Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)?$")
    ] = ""
    daily_bytes: Annotated[int, Meta(ge=8 * 1024 * 1024)] | None = None
    max_bps: Annotated[int, Meta(ge=64_000)] | None = None
    max_bytes: PositiveInt = 1024 * 1024 * 1024  # of the disk, for what waits
    keep_days: Annotated[float, Meta(gt=0, le=90)] = 7.0  # then a file is given up
    ca_file: str = ""
    plain_http: bool = False
    on_alarm: Annotated[tuple[Literal["snapshot", "clip"], ...], Meta(max_length=2)] = ()
    alarm_pre_s: Annotated[float, Meta(ge=0, le=300)] = 10.0
    alarm_post_s: Annotated[float, Meta(ge=1, le=300)] = 20.0


class AlarmSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How rule hits become few, true alarms.

    Hits of one class that begin within `merge_s` of one another belong to one incident, over the
    rules of a camera and over the cameras of a group in `overlaps` that look at one place. Beyond
    `max_per_hour` of a class at one place, further ones are one incident that says so; in
    `weather` mode (by itself from `weather_alarms` of a class on the box within ten minutes)
    beyond a quarter of it.
    """

    merge_s: Annotated[float, Meta(ge=0, le=600)] = 10.0
    update_s: Annotated[float, Meta(ge=0, le=600)] = 10.0
    overlaps: tuple[Annotated[tuple[Slug, ...], Meta(min_length=2)], ...] = ()
    max_per_hour: Annotated[int, Meta(ge=4, le=10_000)] = 20
    weather: Literal["auto", "on", "off"] = "auto"
    weather_alarms: Annotated[int, Meta(ge=3, le=10_000)] = 20
    false_per_day: Annotated[float, Meta(ge=0)] = 1.0


class PageSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The page on the box. On a loopback address it is open to read, unless `login` is set.

    On any other it takes a login and TLS, with the box's own certificate; `hosts` are names it may
    be called by there, besides its address.
    """

    listen: str = "127.0.0.1:8470"
    enabled: bool = True
    login: bool = False
    hosts: tuple[Annotated[str, Meta(pattern=r"^[a-z0-9.-]{1,253}$")], ...] = ()


class BoardSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`auto` reads the device tree; `simulated` is for the demo and says so everywhere.

    `reboot_after_s`: when the needed processes made no progress for so long, the box is rebooted,
    at most `reboots_per_day` times in 24 hours; 0: never. The appliance's unit sets half an hour
    for settings that do not say.
    """

    kind: Literal["auto", "simulated"] = "auto"
    reboot_after_s: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    reboots_per_day: Annotated[int, Meta(ge=1, le=10)] = 2


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything one box can be told."""

    site: Slug = "site-1"
    box: Slug = "box-1"
    data_dir: str = "/var/lib/poleside"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    status: CapStatus = CapStatus.ACTUAL
    time_zone: str = "UTC"
    cameras: tuple[CameraSettings, ...] = ()
    buffer: BufferSettings = field(default_factory=BufferSettings)
    timelapse: TimelapseSettings = field(default_factory=TimelapseSettings)
    detector: DetectorSettings = field(default_factory=DetectorSettings)
    sightings: SightingSettings = field(default_factory=SightingSettings)
    broker: BrokerSettings = field(default_factory=BrokerSettings)
    data: DataSettings = field(default_factory=DataSettings)
    center: CenterSettings = field(default_factory=CenterSettings)
    outbox: OutboxSettings = field(default_factory=OutboxSettings)
    alarms: AlarmSettings = field(default_factory=AlarmSettings)
    uploads: UploadSettings = field(default_factory=UploadSettings)
    page: PageSettings = field(default_factory=PageSettings)
    board: BoardSettings = field(default_factory=BoardSettings)
    pole: PoleSettings = field(default_factory=PoleSettings)

    def __post_init__(self) -> None:
        ids = [camera.camera_id for camera in self.cameras]
        if len(ids) != len(set(ids)):
            raise ValueError("two cameras have one `camera_id`")
        zone_named(self.time_zone)
        if not self.detector.model:
            for camera in self.cameras:
                check_camera_labels(camera)
        for contact in self.pole.inputs:
            if contact.camera_id and contact.camera_id not in ids:
                raise ValueError(
                    f"input `{contact.input_id}` names a camera `{contact.camera_id}` there is not"
                )
        check_feeds(self.cameras, self.pole)
        grouped = [camera_id for group in self.alarms.overlaps for camera_id in group]
        near = [camera_id for way in self.sightings.neighbours for camera_id in way.cameras]
        for where, named in (("alarms.overlaps", grouped), ("sightings.neighbours", near)):
            if strange := set(named) - set(ids):
                raise ValueError(f"`{where}` names a camera `{min(strange)}` there is not")
        if len(grouped) != len(set(grouped)):
            raise ValueError("a camera may be in one group of `alarms.overlaps` only")

    def camera(self, camera_id: str) -> CameraSettings | None:
        """Return the settings of one camera, or None when there is no such camera."""
        return next((c for c in self.cameras if c.camera_id == camera_id), None)
