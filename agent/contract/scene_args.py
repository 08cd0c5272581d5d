"""Orders about a scene that goes on or is over: what is shown again, said, and written there."""

from typing import Literal

from agent.contract.command_args import CommandArgs
from agent.contract.events import Slug, UtcTime


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
