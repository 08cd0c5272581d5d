"""What the center may order, and how the box answers.

A command travels as a signed JWS (`agent.commands.signature`); these are its claims. The same id
again is the same command: it is answered from the journal and never done twice.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from agent.contract.camera_args import CAMERA_OPERATIONS, CameraArgs
from agent.contract.command_args import CommandArgs, CommandId
from agent.contract.events import Fraction, Slug, StreamName, UtcTime
from agent.contract.grants import MediaGrant, StandingPolicy
from agent.contract.ptz_args import (
    CameraAim,
    PtzAux,
    PtzGoto,
    PtzImaging,
    PtzLease,
    PtzMove,
    PtzPresets,
    PtzRelease,
    PtzStop,
)
from agent.contract.scene_args import SCENE_OPERATIONS, ClipMask, SceneArgs
from agent.contract.updates import UPDATE_OPERATIONS, Update
from agent.contract.uploads import NeedUpload, PartNumber, PartUrl

SIGNATURE_ALGORITHMS = ("Ed25519", "EdDSA", "ES256")  # EdDSA is what RFC 9864 calls Ed25519


class Ping(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ping"):
    """Answer, and say how the box's clock stands."""


class Snapshot(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="snapshot"):
    """One picture of a camera now; to `upload_url` when given, else a thumbnail in the reply."""

    camera_id: Slug
    upload_url: str = ""


class Clip(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="clip"):
    """Recorded video of a camera from `start_at` to `end_at`, sent to the center as a file.

    `upload_url` serves for one PUT of a small file; for all else the box asks (`contract.uploads`).
    `stream`: the small one plays in browsers when the main one is H.265; `auto` is main, or sub of
    a time when that alone is left. The reply tells which it is. With `mask` (five minutes at
    most) people are blurred: it has no seal and no sound then, and `masked` tells what was.
    """

    camera_id: Slug
    start_at: UtcTime
    end_at: UtcTime
    upload_url: str = ""
    stream: Literal["auto", "main", "sub"] = "auto"
    mask: ClipMask | None = None

    def __post_init__(self) -> None:
        if self.end_at <= self.start_at:
            raise ValueError("`end_at` must be after `start_at`")


class Bundle(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="bundle"):
    """All that support needs of this box (versions, settings, health, gaps, logs), as one zip.

    Secrets and pictures are never in it, so it needs no grant; it is audited. `upload_url` as for a
    clip.
    """

    upload_url: Annotated[str, Meta(max_length=4096)] = ""


class Lock(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="lock"):
    """Keep a camera's video of a span as evidence until `expires_at`, whatever else must go.

    The lock's id is the command's. `incident_id` is the case; without one, that of the order.
    """

    camera_id: Slug
    start_at: UtcTime
    end_at: UtcTime
    expires_at: UtcTime
    incident_id: str = ""

    def __post_init__(self) -> None:
        if self.end_at <= self.start_at:
            raise ValueError("`end_at` must be after `start_at`")


class Unlock(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="unlock"):
    """Let a lock go before its time."""

    camera_id: Slug
    lock_id: str


class Replay(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="replay"):
    """Send acknowledged records of a stream once more, under new numbers and as `historical`.

    By number or by the records' own time, both ends included; at most 10,000 records at once.
    """

    stream: StreamName
    from_seq: Annotated[int, Meta(ge=1)] | None = None
    to_seq: Annotated[int, Meta(ge=1)] | None = None
    start_at: UtcTime | None = None
    end_at: UtcTime | None = None

    def __post_init__(self) -> None:
        by_number = self.from_seq is not None and self.to_seq is not None
        by_time = self.start_at is not None and self.end_at is not None
        if by_number == by_time:
            raise ValueError("give `from_seq` and `to_seq`, or `start_at` and `end_at`")


Colour = Literal[
    "", "black", "grey", "white", "red", "orange", "brown", "yellow", "green", "cyan", "blue",
    "purple", "pink",
]  # fmt: skip


class Search(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="search"):
    """Who and what was seen: by class, colours, bag, zone and time; newest first. Moves no video.

    `label` is a class of the detector or ONVIF's word for several ("Vehicle", "Animal"). Without
    `camera_id` all cameras are searched. With `watch_s` it is a standing watch under an incident:
    what is seen from now on comes as `progress`, and the final reply ends it. `subject` is an id
    that an event or another answer gave: all tracks that were linked to it. `size` is how high it
    was in the picture: below 15 % of it is small, from 40 % large. Colours, bags, hats and subjects
    are of assist grade.
    """

    camera_id: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9-]{0,31})?$")] = ""
    label: Annotated[str, Meta(max_length=32)] = ""
    upper: Colour = ""
    lower: Colour = ""
    bag: Literal["", "backpack", "handbag", "suitcase"] = ""
    hat: Colour = ""
    size: Literal["", "small", "medium", "large"] = ""
    direction: Literal["", "still", "right", "away", "left", "toward"] = ""
    subject: Annotated[str, Meta(max_length=64)] = ""
    zone: Annotated[tuple[tuple[Fraction, Fraction], ...], Meta(max_length=64)] = ()
    start_at: UtcTime | None = None
    end_at: UtcTime | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 50
    watch_s: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    incident_id: Annotated[str, Meta(max_length=64)] = ""

    def __post_init__(self) -> None:
        if self.zone and len(self.zone) < 3:
            raise ValueError("`zone` needs three corners or more")
        if self.watch_s and not self.incident_id:
            raise ValueError("a standing watch needs `incident_id`")


class UploadAddress(Struct, frozen=True, kw_only=True):
    """Where part `number` of a file goes: a presigned URL, and a secret."""

    number: PartNumber
    url: PartUrl


class UploadUrls(
    CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="upload.urls"
):
    """Answer a `need.upload`: addresses for parts of the file of order `upload`.

    `have`, when given, is what the store has, as ranges from first to last: the rest is sent
    again. `complete`: the file is whole and its sha256 right. `refused`: nobody wants it; why.
    """

    upload: CommandId
    parts: tuple[UploadAddress, ...] = ()
    have: tuple[tuple[PartNumber, PartNumber], ...] | None = None
    complete: bool = False
    refused: str = ""


class Output(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="output"):
    """Switch an output of the pole (siren, light, …) for a time, then it is safe again by itself.

    Without `for_s` it stays as long as the box's settings allow; longer than that is refused.
    """

    output_id: Slug
    on: bool
    for_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None


class Relay(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="relay"):
    """Switch a relay output of a camera (siren, lamp, door) on for `for_s`, or off now.

    `relay` is its ONVIF token. Only relays that the box's settings list can be switched, and for
    no longer than those allow; then it is in its safe state again by itself.
    """

    camera_id: Slug
    relay: Annotated[str, Meta(min_length=1, max_length=64)]
    on: bool
    for_s: Annotated[float, Meta(gt=0, le=86_400)] = 5.0


class Verdict(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="verdict"):
    """Say whether an incident was a true alarm; `none` takes the verdict back.

    Alarms called false lower what begins at the same spot, of the same class, at the same hour.
    """

    incident_id: Annotated[str, Meta(min_length=1, max_length=64)]
    verdict: Literal["true", "false", "none"]


class Nuisance(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="nuisance"):
    """List the verdicts that count, of one camera or all; with `clear` forget that camera's."""

    camera_id: Slug | None = None
    clear: bool = False


class Config(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="config"):
    """Change settings: a JSON merge patch (RFC 7396), refused as a whole when any part is wrong.

    It is laid over what is in effect, cameras by `camera_id`; a null removes: the default counts.
    """

    patch: dict[str, Any]


class Identify(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="identify"):
    """Blink the lamp in the cabinet fast, so that somebody finds this box; 0 ends it."""

    for_s: Annotated[float, Meta(ge=0, le=3600)] = 120.0


class RenewIdentity(
    CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="enrol.renew"
):
    """Renew the certificate now, and take what comes signed with it (`contract.enrolment`)."""


class GiveGrant(
    CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="grant.give"
):
    """Let somebody see, for a time (`agent.contract.grants`); live video is pushed at once."""

    grant: MediaGrant


class EndGrant(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="grant.end"):
    """End a grant before its time."""

    grant_id: CommandId


class ListGrants(
    CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="grant.list"
):
    """Tell which grants hold now, and what was sent under each."""


class GivePolicy(
    CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="policy.give"
):
    """Let the box do something by itself on alarms of its own, until it ends; also offline."""

    policy: StandingPolicy


class EndPolicy(
    CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="policy.end"
):
    """End a standing policy; grants it has made go on to their own ends."""

    policy_id: CommandId


class ListPolicies(
    CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="policy.list"
):
    """Tell which standing policies hold."""


Args = (
    Ping
    | Snapshot
    | Clip
    | Lock
    | Unlock
    | PtzMove
    | PtzStop
    | PtzLease
    | PtzRelease
    | PtzGoto
    | PtzPresets
    | PtzImaging
    | PtzAux
    | CameraAim
    | Replay
    | Search
    | UploadUrls
    | Output
    | Relay
    | Verdict
    | Nuisance
    | Config
    | RenewIdentity
    | GiveGrant
    | EndGrant
    | ListGrants
    | GivePolicy
    | EndPolicy
    | ListPolicies
    | SceneArgs
    | CameraArgs
    | Update
    | Bundle
    | Identify
)


class Actor(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """On whose order: the person, the role, the agency, and the case it belongs to."""

    user: str
    role: str = ""
    agency: str = ""
    case: str = ""


class Command(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The signed claims. `box` is the audience; `iat`, `nbf`, `exp` are Unix seconds.

    `nonce` echoes the box's presence; a box whose clock is unsure takes no command without it.
    `grant` is what the order rests on where it needs one (`agent.contract.needs`). It counts from
    the first order that carries it; the same one may come with many orders, and is given once.
    """

    id: CommandId
    args: Args
    box: Slug
    by: Actor
    iat: int
    nbf: int
    exp: int
    iss: str
    prio: Annotated[int, Meta(ge=0, le=9)] = 5
    nonce: str = ""
    grant: MediaGrant | None = None

    @property
    def op(self) -> str:
        """The name of the operation."""
        return op_of(self.args)


class ReplyState(StrEnum):
    ACCEPTED = "accepted"
    PROGRESS = "progress"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"
    REFUSED = "refused"
    UNKNOWN = "unknown"  # the box restarted while it was done: nobody knows

    @property
    def is_final(self) -> bool:
        """Whether no further reply follows."""
        return self not in (ReplyState.ACCEPTED, ReplyState.PROGRESS)


class Reply(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer to command `id`. `code` and `message` say why not; `result` is the op's own."""

    id: str
    state: ReplyState
    code: str = ""
    message: str = ""
    hint: str = ""
    result: dict[str, Any] | None = None
    need: NeedUpload | None = None
    t: UtcTime | None = None


def op_of(args: Args) -> str:
    """Return the operation that `args` belong to."""
    return str(type(args).__struct_config__.tag)


OPERATIONS: tuple[str, ...] = (
    "ping", "snapshot", "clip", "lock", "unlock", "ptz.move", "ptz.stop", "ptz.lease",
    "ptz.release", "ptz.goto", "ptz.presets", "ptz.imaging", "ptz.aux", "camera.aim", "replay",
    "search", "verdict", "nuisance", "output", "relay", "config", "upload.urls", "enrol.renew",
    "grant.give", "grant.end", "grant.list", "policy.give", "policy.end", "policy.list",
    *SCENE_OPERATIONS, *CAMERA_OPERATIONS, *UPDATE_OPERATIONS, "bundle",
    "identify",
)  # fmt: skip
