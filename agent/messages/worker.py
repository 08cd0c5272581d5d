"""Between a camera worker and the core: length-prefixed msgpack on the core's Unix socket."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct, msgpack

from agent.messages.locking import LockReply, LockSpan, Unlock
from agent.messages.passing import Passing
from agent.messages.picture import PictureFinding, PictureTrouble
from agent.messages.push import PushState, StartPush, StopPush
from agent.messages.vision import RuleHit, TrackedObject


class CameraState(StrEnum):
    """How a camera is doing, as its worker sees it. `UNKNOWN` while no worker has spoken."""

    ONLINE = "online"
    CONNECTING = "connecting"
    LOST = "lost"
    AUTH_FAILED = "auth-failed"
    NOT_A_CAMERA = "not-a-camera"
    UNKNOWN = "unknown"


class StreamStatus(Struct, frozen=True, kw_only=True):
    """One stream of one camera. Counters run since the worker started."""

    name: str
    state: CameraState
    since: datetime
    code: str | None = None
    detail: str | None = None
    codec: str | None = None
    width_px: int = 0
    height_px: int = 0
    fps: float | None = None
    frames_total: int = 0
    bytes_total: int = 0
    connects_total: int = 0
    last_frame_mono_s: float | None = None


class DetectionStatus(Struct, frozen=True, kw_only=True):
    """Whether the camera is being looked at: `ready`, `motion-only` or `off`, and since when.

    Looks that the camera wished for and did not get, because the detector is shared or away, are
    shed. `counters` are what its rules have counted since the worker began, as `rule.name`.
    """

    state: str
    since: datetime
    frames_total: int = 0
    motion_frames_total: int = 0
    wished_total: int = 0
    asked_total: int = 0
    answered_total: int = 0
    shed_total: int = 0
    shed_share: float = 0.0  # of the last twenty wishes or so
    objects_total: int = 0
    counters: dict[str, int] = {}


class RecordingStatus(Struct, frozen=True, kw_only=True):
    """What really reached the disk. `recording` is true only while frames do.

    `mode` is `events` where only what lies around events is kept; the rest waits in memory for one
    or goes soon.
    """

    recording: bool
    mode: str = "continuous"
    frames_total: int = 0
    recorded_s: float = 0.0
    bytes_total: int = 0
    gaps_total: int = 0
    fault_code: str | None = None
    fault_detail: str | None = None
    faults: tuple[str, ...] = ()  # codes of what is wrong beside, while recording goes on


class Hello(Struct, frozen=True, kw_only=True, tag="hello"):
    camera_id: str
    pid: int


class CameraStatus(Struct, frozen=True, kw_only=True, tag="status"):
    camera_id: str
    main: StreamStatus
    sub: StreamStatus | None
    recording: RecordingStatus
    detection: DetectionStatus
    sub_recording: RecordingStatus | None = None  # where the sub stream is recorded, too
    hits_total: int = 0
    hits_waiting: int = 0
    picture: tuple[PictureTrouble, ...] = ()

    def state(self) -> object:
        """Return what is told at once when it changes: all but figures that only grow."""
        main, sub, recording = self.main, self.sub, self.recording
        return (
            (main.state, main.code, main.codec, main.connects_total),
            (sub.state, sub.code, sub.codec, sub.connects_total) if sub else None,
            (recording.recording, recording.fault_code, recording.faults, recording.gaps_total),
            (self.detection.state, self.hits_total, self.picture),
        )


class HitReport(Struct, frozen=True, kw_only=True, tag="hit"):
    hit: RuleHit


class ZoneScale(Struct, frozen=True, kw_only=True):
    """How many pixels of the main stream a metre takes in a rule's zone, least and most."""

    rule_id: str
    least_px_per_m: float
    most_px_per_m: float


class AimReading(Struct, frozen=True, kw_only=True):
    """What helps to aim a camera. `focus` is the variance of the Laplacian in the middle.

    Measured on the main stream's newest key frame, `of` "main", else on the sub stream. `detail`:
    a JPEG of the very middle, pixel for pixel. `horizon` and `scales` need the `calibration`.
    """

    of: str
    focus: float
    detail: bytes = b""
    horizon: tuple[tuple[float, float], tuple[float, float]] | None = None
    level_deg: float | None = None  # how far the horizon leans, clockwise
    scales: tuple[ZoneScale, ...] = ()


class PictureReply(Struct, frozen=True, kw_only=True, tag="picture"):
    """The newest frame. `jpeg` is None while there is none; `taken_mono_s` dates it."""

    request_id: int
    jpeg: bytes | None = None
    width_px: int = 0
    height_px: int = 0
    taken_at: datetime | None = None
    taken_mono_s: float = 0.0
    objects: tuple[TrackedObject, ...] = ()
    aim: AimReading | None = None


class HitAck(Struct, frozen=True, kw_only=True, tag="hit-ack"):
    """The core has committed this hit: the worker may forget it.

    `incident_id` is the incident that a beginning began or joined; empty when it raised none.
    """

    hit_id: str
    incident_id: str = ""


class TakePicture(Struct, frozen=True, kw_only=True, tag="take-picture"):
    request_id: int
    max_width_px: int
    max_bytes: int
    is_aiming: bool = False


class Retune(Struct, frozen=True, kw_only=True, tag="retune"):
    """New settings of this camera (msgspec-encoded `CameraSettings`); streams go on.

    `is_shed`: heat alone keeps it from detecting.
    """

    camera_json: bytes
    is_shed: bool = False


class UseStreams(Struct, frozen=True, kw_only=True, tag="use-streams"):
    """Stream addresses as ONVIF gave them, without credentials, and whether it can turn."""

    main_url: str
    sub_url: str
    has_ptz: bool = False


class Word(StrEnum):
    """What the core says of who is at an address.

    `ACCEPTED`: a technician says that it is our camera, whatever was known of it.
    """

    OURS = "ours"
    STRANGER = "stranger"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"


class WhoIsThere(Struct, frozen=True, kw_only=True, tag="who-is-there"):
    """Who answers at `host` asks for the camera's login, and what it shows is not enough."""

    camera_id: str
    host: str


class Recognised(Struct, frozen=True, kw_only=True, tag="recognised"):
    """The answer, by what ONVIF shows without a login; `host` is empty when accepted."""

    host: str
    word: Word


class RestartStreams(Struct, frozen=True, kw_only=True, tag="restart-streams"):
    """Nothing reaches the disk: close both streams and open them anew."""


ToCore = (
    Hello
    | CameraStatus
    | HitReport
    | PictureReply
    | PictureFinding
    | LockReply
    | PushState
    | Passing
    | WhoIsThere
)
ToWorker = (
    HitAck
    | TakePicture
    | Retune
    | UseStreams
    | Recognised
    | RestartStreams
    | LockSpan
    | Unlock
    | StartPush
    | StopPush
)

encode = msgpack.Encoder().encode
decode_to_core = msgpack.Decoder(ToCore).decode
decode_to_worker = msgpack.Decoder(ToWorker).decode
