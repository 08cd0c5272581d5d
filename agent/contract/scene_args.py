"""Orders about a scene that goes on or is over: what is shown again, said, and written there."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from agent.contract.command_args import CommandArgs
from agent.contract.events import Fraction, Slug, UtcTime


class MaskTarget(Struct, frozen=True, kw_only=True):
    """Who stays to be seen: whoever stands at this point of the picture at this time."""

    at: UtcTime
    x: Fraction
    y: Fraction


class ClipMask(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """People are blurred for good, but the target, and what lies inside the polygon `keep`.

    With neither, all people are. `outside` "all" blurs all that is not kept, whoever is seen there.
    """

    keep: Annotated[tuple[tuple[Fraction, Fraction], ...], Meta(max_length=64)] = ()
    target: MaskTarget | None = None
    outside: Literal["people", "all"] = "people"

    def __post_init__(self) -> None:
        if 0 < len(self.keep) < 3:
            raise ValueError("`keep` needs three corners or more")


class Playback(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="playback"):
    """Show recorded video of a camera, as fast as it was recorded, at the relay of the grant.

    It needs a grant for playback with a `sink`, whose `window` holds the span; what is sent begins
    at the key frame that the span's first picture needs. `progress` comes when it begins, the final
    reply when all is shown. The grant's end is its end.
    """

    camera_id: Slug
    start_at: UtcTime
    end_at: UtcTime
    stream: Literal["auto", "main", "sub"] = "auto"

    def __post_init__(self) -> None:
        if self.end_at <= self.start_at:
            raise ValueError("`end_at` must be after `start_at`")
