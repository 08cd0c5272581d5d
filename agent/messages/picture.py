"""What is wrong with a camera's picture itself, from the worker to the core.

Unlike a rule hit it is a level, not an edge: it is said again while it lasts, so that nothing is
lost when the core or the worker was away.
"""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from agent.contract.events import TimeQuality
from agent.messages.vision import HitState


class PictureKind(StrEnum):
    """The value is the code on the wire and in the catalogue of faults."""

    COVERED = "picture.covered"
    DEFOCUSED = "picture.defocused"
    MOVED = "picture.moved"
    DARK = "picture.dark"
    FROZEN = "picture.frozen"
    NOISE = "picture.noise"
    TILTED = "picture.tilted"
    GLARE = "picture.glare"
    DIRTY = "picture.dirty"


class PictureTrouble(Struct, frozen=True):
    """One thing that is wrong with the picture now, and since when."""

    kind: PictureKind
    since: datetime


class PictureFinding(Struct, frozen=True, kw_only=True, tag="picture-finding"):
    """A picture fault began, goes on or ended. `detail` holds the figures that decided.

    The picture is of the moment it began and comes with every message but the last.
    """

    finding_id: str
    camera_id: str
    kind: PictureKind
    state: HitState
    at: datetime
    mono_s: float
    began_at: datetime
    tq: TimeQuality
    detail: str = ""
    reason: str | None = None
    picture_jpeg: bytes | None = None
    picture_width_px: int = 0
    picture_height_px: int = 0
