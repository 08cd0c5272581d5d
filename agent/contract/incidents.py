"""An incident session: one signed word to all boxes of a district, and again as it moves.

It travels as a JWS on the district's topic, signed like a command. Each box decides itself which of
its cameras see the place, keeps their last minute, and answers on `up/rsp` under the call's id:
`progress` with its candidates, the final reply when the session is over. Only what a grant or a
standing policy allows is moved, shown or streamed.

`kind`, `reason` and `trigger` are plain text on the wire: a word this box does not know is refused
with a code of its own.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from agent.contract.command_args import CommandId
from agent.contract.commands import Actor
from agent.contract.events import CapStatus, Slug
from agent.contract.grants import LONGEST_S, MediaGrant

Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
_NAME = "[a-z0-9][a-z0-9-]{0,31}"
BoxCamera = Annotated[str, Meta(pattern=f"^{_NAME}/{_NAME}$")]


class IncidentKind(StrEnum):
    FIRE = "fire"
    RESCUE = "rescue"
    CRIME = "crime"
    MISSING_PERSON = "missing-person"
    ANKLET = "anklet"
    ESCORT = "escort"
    FLOOD = "flood"
    EXERCISE = "exercise"


class IncidentCall(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One word of a session. `seq` grows with each; `iat` and `exp` are Unix seconds.

    `radius_m` around the place belongs to it, `accuracy_m` is how sure the place is. With `follow`
    the place moves, along `route` where that is given; without news of it for `silence_s` it counts
    as lost. `grants` are those of single boxes. `ended` ends the session. `also` are cameras, as
    "box/camera", that some box has named as `next` in its answer: they are made ready, too.
    """

    id: CommandId
    seq: Annotated[int, Meta(ge=1)]
    site: Slug
    incident: Annotated[str, Meta(min_length=1, max_length=64)]
    kind: Annotated[str, Meta(max_length=32)]
    reason: Annotated[str, Meta(max_length=32)]
    trigger: Annotated[str, Meta(max_length=32)] = ""
    status: CapStatus = CapStatus.ACTUAL
    audience: Annotated[str, Meta(max_length=32)]
    by: Actor
    iss: str
    iat: int
    exp: int
    lat: Latitude
    lon: Longitude
    height_m: float | None = None
    radius_m: Annotated[float, Meta(ge=0, le=2000)] = 0.0
    accuracy_m: Annotated[float, Meta(ge=0, le=500)] = 5.0
    route: Annotated[tuple[tuple[Latitude, Longitude], ...], Meta(max_length=64)] = ()
    follow: bool = False
    silence_s: Annotated[float, Meta(ge=1, le=600)] = 30.0
    grants: Annotated[tuple[MediaGrant, ...], Meta(max_length=8)] = ()
    ended: bool = False
    also: Annotated[tuple[BoxCamera, ...], Meta(max_length=32)] = ()

    def __post_init__(self) -> None:
        if not 0 < self.exp - self.iat <= LONGEST_S:
            raise ValueError(f"`exp` must be after `iat`, by {LONGEST_S} s at most")
