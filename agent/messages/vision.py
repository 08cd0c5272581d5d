"""What the eyes see: from a frame to regions, tracks, and a rule that holds.

Regions are fractions of the frame. Made in the camera worker; only `RuleHit` leaves it.
"""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from agent.contract.events import Region, Source, TimeQuality


class Detection(Struct, frozen=True):
    """One object the detector found in one frame."""

    label: str
    score: float
    region: Region


class TrackedObject(Struct, frozen=True):
    """A detection with an identity that lasts over frames. `score` is of the last detection.

    What follows `region` is known only where the camera is calibrated: where its foot stands on
    the ground (metres), how fast it goes there, about how tall it is.
    """

    track_id: int
    label: str
    score: float
    region: Region
    ground_m: tuple[float, float] | None = None
    speed_mps: float | None = None
    height_m: float | None = None

    @property
    def foot(self) -> tuple[float, float]:
        """Where it stands: middle of the region's lower edge, fractions (x, y)."""
        return (self.region.x + self.region.width / 2, self.region.y + self.region.height)


class HitState(StrEnum):
    BEGAN = "began"
    CONTINUES = "continues"
    ENDED = "ended"


class RuleChange(Struct, frozen=True, kw_only=True):
    """A rule became true, is still true, or is no longer true. `objects` take part in it.

    `measures` are the rule's own figures, such as the level of one that has levels.
    """

    rule_id: str
    state: HitState
    objects: tuple[TrackedObject, ...] = ()
    reason: str | None = None
    measures: dict[str, float] = {}


class RuleHit(Struct, frozen=True, kw_only=True):
    """A rule change with its time, place and picture: what the worker hands to the core.

    `hit_id` is made once, when the rule changes, and is the key of every later deduplication.
    `at` and `mono_s` are those of the frame that decided. `crop_jpeg` is the best look at who
    or what it is about; it comes again when a clearly better one was seen. `is_measured` says
    that the `model` is the one the rules were measured with.
    """

    hit_id: str
    camera_id: str
    rule_id: str
    kind: str
    state: HitState
    at: datetime
    mono_s: float
    tq: TimeQuality
    objects: tuple[TrackedObject, ...] = ()
    picture_jpeg: bytes | None = None
    picture_width_px: int = 0
    picture_height_px: int = 0
    reason: str | None = None
    model: str | None = None
    measures: dict[str, float] = {}
    source: Source = Source.BOX
    detail: str | None = None
    crop_jpeg: bytes | None = None
    crop_width_px: int = 0
    crop_height_px: int = 0
    is_measured: bool = False
