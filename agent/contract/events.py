"""What the box tells the center happened: CloudEvents 1.0 in structured JSON, with our extensions.

Unknown fields are ignored, so old and new boxes live together; only optional fields are added
under one `type` version. One incident keeps one `id`; its life is told by `phase`.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

Slug = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
UtcTime = Annotated[datetime, Meta(tz=True)]
Fraction = Annotated[float, Meta(ge=0.0, le=1.0, description="share of frame width or height")]

MAX_THUMBNAIL_BYTES = 16 * 1024
MAX_CROP_BYTES = 4 * 1024


class EventKind(StrEnum):
    """What happened. The `type` on the wire is `edge.event.<kind>.v1`."""

    INTRUSION = "intrusion"
    LOITERING = "loitering"
    LINE_CROSSING = "line-crossing"
    ABANDONED_OBJECT = "abandoned-object"
    REMOVED_OBJECT = "removed-object"
    CROWD = "crowd"
    WRONG_WAY = "wrong-way"
    STOPPED_VEHICLE = "stopped-vehicle"
    TAMPER = "tamper"
    FLOOD = "flood"
    PERSON_DOWN = "person-down"
    CAMERA_ANALYTICS = "camera-analytics"
    CAMERA_LOST = "camera-lost"
    CAMERA_BACK = "camera-back"
    EMERGENCY_BELL = "emergency-bell"
    CABINET = "cabinet"
    BOX_FAULT = "box-fault"
    NOT_RECORDED = "not-recorded"
    PICTURE_FAULT = "picture-fault"


class Grade(StrEnum):
    """How far the alarms of a kind were proven; experimental ones are off unless switched on."""

    CERTIFIED_READY = "certified-ready"
    ASSIST = "assist"
    EXPERIMENTAL = "experimental"


class Source(StrEnum):
    """Who saw it: the box's own rules, or the analytics inside the camera."""

    BOX = "box"
    CAMERA = "camera"


class Phase(StrEnum):
    NEW = "new"
    UPDATE = "update"
    END = "end"


class TimeQuality(StrEnum):
    """How far `time` can be trusted."""

    NTP = "ntp"
    RTC = "rtc"  # of a clock chip that kept it, or carried on since a synchronisation in this boot
    UNSYNCED = "unsynced"  # nothing vouches for it


class StreamName(StrEnum):
    """The box's acknowledged streams; each has its own contiguous `seq`."""

    ALARM = "a"
    EVENT = "e"
    TELEMETRY = "t"
    AUDIT = "u"


class CapStatus(StrEnum):
    """CAP 1.2 status, so that an exercise is never taken for the real thing."""

    ACTUAL = "Actual"
    EXERCISE = "Exercise"
    TEST = "Test"


class CapUrgency(StrEnum):
    IMMEDIATE = "Immediate"
    EXPECTED = "Expected"
    PAST = "Past"
    UNKNOWN = "Unknown"


class CapSeverity(StrEnum):
    EXTREME = "Extreme"
    SEVERE = "Severe"
    MODERATE = "Moderate"
    MINOR = "Minor"
    UNKNOWN = "Unknown"


class CapCertainty(StrEnum):
    OBSERVED = "Observed"
    LIKELY = "Likely"
    POSSIBLE = "Possible"
    UNKNOWN = "Unknown"


class Region(Struct, frozen=True):
    """A bounding box, fractions of the frame, origin top left."""

    x: Fraction
    y: Fraction
    width: Fraction
    height: Fraction


class SeenObject(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One object that took part: its class, the best score so far, where it was last.

    On a calibrated camera also where on the ground (metres, in the axes of its landmarks), how
    fast, and about how tall. `subject` is the same id on every camera of the box that, by its look
    and the time, saw the same one; `subject_certainty` (0..1) how likely that is.
    """

    label: str
    score: Fraction
    track_id: int | None = None
    region: Region | None = None
    ground_m: tuple[float, float] | None = None
    speed_mps: float | None = None
    height_m: float | None = None
    subject: str | None = None
    subject_certainty: Fraction | None = None


class Picture(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A JPEG thumbnail (base64 on the wire), with the time the frame was taken."""

    taken_at: UtcTime
    width_px: int
    height_px: int
    jpeg: Annotated[bytes, Meta(max_length=MAX_THUMBNAIL_BYTES)]


class EventFile(Struct, frozen=True, kw_only=True):
    """A file of an incident that the box sends by HTTP; `upload` is the id it asks with.

    It comes with an update, or, made after the end, with the end said once more.
    """

    upload: str
    name: str
    content_type: str
    bytes: Annotated[int, Meta(ge=1)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Asked(StrEnum):
    """What a bell asks the center for; whether it comes, the center decides, by a grant."""

    LIVE = "live"
    TALK = "talk"


class EventData(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened, in the words of the rule or component that saw it.

    One incident may be seen by several rules and cameras; `rules` names them all as
    `camera/rule`. `picture_held`: why pictures were left out (a `DataSample.mode`); the box has
    them. `measures` are the rule's figures, such as persons per square metre. `asks`: what somebody
    at the pole waits for while it lasts: to be seen on the subject's camera, to be spoken with.
    """

    kind: EventKind
    rule_id: str | None = None
    started_at: UtcTime
    ended_at: UtcTime | None = None
    end_reason: str | None = None
    objects: tuple[SeenObject, ...] = ()
    zone: tuple[tuple[Fraction, Fraction], ...] = ()
    picture: Picture | None = None
    picture_held: str | None = None
    files: tuple[EventFile, ...] = ()
    detail: str | None = None
    code: str | None = None
    model: str | None = None
    status: CapStatus = CapStatus.ACTUAL
    urgency: CapUrgency = CapUrgency.UNKNOWN
    severity: CapSeverity = CapSeverity.UNKNOWN
    certainty: CapCertainty = CapCertainty.UNKNOWN
    grade: Grade | None = None
    seen_by: Source = Source.BOX
    rules: tuple[str, ...] = ()
    measures: dict[str, float] = {}
    crop: Picture | None = None
    asks: tuple[Asked, ...] = ()


class Event(Struct, frozen=True, kw_only=True):
    """One message of one incident's life. `(source, stream, epoch, seq)` is unique for ever."""

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: UtcTime
    seq: int
    stream: StreamName
    epoch: str
    boot: int
    mono: float
    tq: TimeQuality
    phase: Phase
    data: EventData
    historical: bool = False


class GapReason(StrEnum):
    """Why records never come; see `Gap`."""

    AGE = "age"
    QUOTA = "quota"
    EXPIRED = "expired"


class Gap(Struct, frozen=True, kw_only=True, tag_field="kind", tag="gap"):
    """Sequence numbers that will never come: the center steps over them.

    `why`: `age` (too old before the center could be told), `quota` (the outbox was full), `expired`
    (acknowledged once, and kept no longer); a later version may know more. Numbers of different
    reasons come as gaps of their own.
    """

    stream: StreamName
    epoch: str
    seq: int
    until_seq: int
    why: str


def type_of(kind: EventKind) -> str:
    """Return the CloudEvents `type` of `kind`."""
    return f"edge.event.{kind.value}.v1"


def source_of(site: str, box: str) -> str:
    """Return the CloudEvents `source` of a box."""
    return f"edge/{site}/{box}"
