"""Who may see what of a box's cameras, why, and until when: the media grant and its report.

A grant travels as the order `grant.give`, or inside the order that rests on it
(`agent.contract.commands`), so there is one signature, one nonce and one journal for all a center
may do. It ends by itself on the box's monotonic clock. The audit has an entry with `op`
"grant.given", whose detail is what was given, and one "grant.ended", with the `GrantReport`.

`audience`, `reason` and `trigger` are plain text on the wire: a word this box does not know is
refused with a code of its own instead of being not understood.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from agent.contract.events import CapStatus, Slug, UtcTime

LONGEST_S, LONGEST_POLICY_S = 3600, 400 * 86_400
GIVEN, ENDED = "grant.given", "grant.ended"


class Audience(StrEnum):
    POLICE_ROOM = "112"
    FIRE_ROOM = "119"
    PATROL_CAR = "patrol-car"
    FIRE_ENGINE = "fire-engine"
    OPERATOR = "operator"
    COURT = "court"


class Reason(StrEnum):
    FIRE = "fire"
    RESCUE = "rescue"
    CRIME = "crime"
    MISSING_PERSON = "missing-person"
    ESCORT_HOME = "escort-home"
    ANKLET = "anklet"
    FLOOD = "flood"
    TRAFFIC = "traffic"
    EXERCISE = "exercise"
    MAINTENANCE = "maintenance"


class AnkletTrigger(StrEnum):
    """What a court's anklet must have told before anybody looks for its wearer."""

    DAMAGED = "damaged"
    FORBIDDEN_ZONE = "forbidden-zone"
    CURFEW = "curfew"
    NEAR_VICTIM = "near-victim"


class What(StrEnum):
    LIVE = "live"
    PLAYBACK = "playback"
    CLIP = "clip"
    SNAPSHOT = "snapshot"
    SEARCH = "search"
    PTZ = "ptz"
    TALK = "talk"


class Quality(StrEnum):
    """`vehicle-lte` is as much as a thin line carries: main, sub, key frames, a JPEG a second."""

    MAIN = "main"
    SUB = "sub"
    VEHICLE_LTE = "vehicle-lte"


def _words(kind: type[StrEnum], *others: str) -> Meta:
    return Meta(extra_json_schema={"enum": [*others, *(word.value for word in kind)]})


class GrantLimits(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`max_kbps` 0 sets none."""

    max_kbps: Annotated[int, Meta(ge=0, le=100_000)] = 0
    quality: Quality = Quality.MAIN


class Window(Struct, frozen=True, kw_only=True):
    """The recorded time that may be seen, for playback, clip and search."""

    start_at: UtcTime
    end_at: UtcTime

    def __post_init__(self) -> None:
        if self.end_at <= self.start_at:
            raise ValueError("`end_at` must be after `start_at`")


class Sink(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The relay video is pushed to, by RTSP (RECORD) or RTMP. `token` is the password there.

    The token is a secret. RTMP knows no password: it goes where `{token}` stands in the URL, else
    into its query as `token`. `ca` is the certificate (PEM) of the authority that vouches for an
    rtsps:// or rtmps:// relay, where that is the city's own. `{camera}` in the URL stands for the
    camera's id; with several cameras it must be there.
    """

    url: Annotated[
        str,
        Meta(
            pattern=r"^(rtsps?://[^/@\s]+/[^@\s]*|rtmps?://[^/@\s]+/[^@\s/]+/[^@\s]+)$",
            max_length=1024,
        ),
    ]
    token: Annotated[str, Meta(max_length=2048)] = ""
    ca: Annotated[str, Meta(max_length=4096)] = ""

    def __repr__(self) -> str:
        return f"Sink(url={self.url!r})"


class MediaGrant(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One permission. `nbf` and `exp` are Unix seconds, at most an hour apart.

    Live needs a `sink`; playback and clip need a `window`; reason `anklet` needs a `trigger`.
    With `on_call`, live is pushed only from cameras that an incident session of the same `incident`
    has called up. Without `cameras` it is for the box as a whole: its outputs, and search over all
    its cameras.
    """

    id: Annotated[str, Meta(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$", description="ULID")]
    box: Slug
    incident: Annotated[str, Meta(min_length=1, max_length=64)]
    audience: Annotated[str, Meta(max_length=32), _words(Audience)]
    purpose: Annotated[str, Meta(min_length=1, max_length=200)]
    reason: Annotated[str, Meta(max_length=32), _words(Reason)]
    what: Annotated[tuple[What, ...], Meta(min_length=1, max_length=7)]
    cameras: Annotated[tuple[Slug, ...], Meta(max_length=16)] = ()
    nbf: int
    exp: int
    limits: GrantLimits = GrantLimits()
    window: Window | None = None
    sink: Sink | None = None
    status: CapStatus = CapStatus.ACTUAL
    trigger: Annotated[str, Meta(max_length=32), _words(AnkletTrigger, "")] = ""
    on_call: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.exp - self.nbf <= LONGEST_S:
            raise ValueError(f"`exp` must be after `nbf`, by {LONGEST_S} s at most")
        if What.LIVE in self.what and self.sink is None:
            raise ValueError("live needs a `sink`")
        if not self.cameras and set(self.what) - {What.SEARCH, What.TALK}:
            raise ValueError("name the `cameras`")
        if self.sink and len(self.cameras) > 1 and "{camera}" not in self.sink.url:
            raise ValueError("with several cameras the sink's URL needs `{camera}`")
        if {What.PLAYBACK, What.CLIP} & set(self.what) and self.window is None:
            raise ValueError("playback and clip need a `window`")


class StandingPolicy(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A permission given in advance: what a box may do by itself on an alarm of its own.

    It holds for alarms and incident calls of these `kinds` (`EventKind`, `IncidentKind`), in these
    `zones` (rule ids; none: anywhere) and `hours` (as rules' windows, local time; none: always).
    What it allows then lasts `lasts_s` from the alarm's beginning, as a grant of its own. With no
    `cameras` it is for the one that raised the alarm. `nbf` and `exp` are Unix seconds.
    """

    id: Annotated[str, Meta(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$", description="ULID")]
    box: Slug
    audience: Annotated[str, Meta(max_length=32), _words(Audience)]
    purpose: Annotated[str, Meta(min_length=1, max_length=200)]
    reason: Annotated[str, Meta(max_length=32), _words(Reason)]
    what: Annotated[tuple[What, ...], Meta(min_length=1, max_length=7)] = (What.LIVE,)
    kinds: Annotated[tuple[str, ...], Meta(min_length=1, max_length=32)]
    zones: Annotated[tuple[str, ...], Meta(max_length=32)] = ()
    hours: Annotated[tuple[str, ...], Meta(max_length=16)] = ()
    cameras: Annotated[tuple[Slug, ...], Meta(max_length=16)] = ()
    lasts_s: Annotated[int, Meta(ge=10, le=LONGEST_S)] = 600
    limits: GrantLimits = GrantLimits()
    sink: Sink | None = None
    nbf: int
    exp: int

    def __post_init__(self) -> None:
        if not 0 < self.exp - self.nbf <= LONGEST_POLICY_S:
            raise ValueError("`exp` must be after `nbf`, by 400 days at most")
        if {What.PLAYBACK, What.CLIP} & set(self.what):
            raise ValueError("what was recorded needs a grant of its own")
        if What.LIVE in self.what and (self.sink is None or "{camera}" not in self.sink.url):
            raise ValueError("live needs a `sink` with `{camera}` in its URL")


class GrantReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a grant ended: `expired`, `ended` by order, `reboot`; and what was sent meanwhile."""

    grant: str
    incident: str
    audience: str
    ended: str
    lasted_s: float
    bytes: int = 0
    kbps: float = 0.0
    stalls: int = 0
    status: CapStatus = CapStatus.ACTUAL
