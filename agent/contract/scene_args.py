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
    reply when all is shown. The grant's end is its end. `holes` in its result (each `from`, `to`,
    `cause`) are what could not be shown: gaps in the recording by their cause, and what is
    `unreadable` or `deleted` on the disk. Of very many some are left out,
    gaps first; `holes_untold` counts them.
    """

    camera_id: Slug
    start_at: UtcTime
    end_at: UtcTime
    stream: Literal["auto", "main", "sub"] = "auto"

    def __post_init__(self) -> None:
        if self.end_at <= self.start_at:
            raise ValueError("`end_at` must be after `start_at`")


class Talk(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="talk"):
    """Let a voice be heard through a camera's loudspeaker, or without `camera_id` the box's own.

    `source_url` is an audio file or somebody who speaks now, offered by the center over HTTP(S),
    RTSP(S) or RTMP(S); the box fetches it. It is never stored. `progress` comes when it begins, the
    final reply when it is over, at the latest after `for_s`. The grant's end is its end.

    With `live` it is heard as it is spoken: what a slow line brings late is left out, so that it
    never waits at the box for more than half a second; `for_s` is then time, not sound. Over TLS
    the source must prove who it is: by `ca` (PEM), where an authority of the city's own vouches
    for it.
    """

    camera_id: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9-]{0,31})?$")] = ""
    source_url: Annotated[str, Meta(pattern=r"^(https?|rtsps?|rtmps?)://\S+$", max_length=1024)]
    for_s: Annotated[float, Meta(gt=0, le=300)] = 60.0
    live: bool = False
    ca: Annotated[str, Meta(max_length=4096)] = ""


class SignText(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="sign"):
    """Show a line of text on an LED sign of the pole for `for_s`, then it is dark; "" at once.

    Without `for_s` it stays as long as the box's settings allow; longer than that is refused.
    """

    sign_id: Slug
    text: Annotated[str, Meta(max_length=120)]
    for_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None


SceneArgs = Playback | Talk | SignText
SCENE_OPERATIONS = ("playback", "talk", "sign")
