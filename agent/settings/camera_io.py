"""What hangs on a camera's own terminals: inputs that are bells, relays that may be switched."""

from typing import Annotated

from msgspec import Meta, Struct

MAX_ON_S = 24 * 3600
Token = Annotated[str, Meta(min_length=1, max_length=64)]


class CameraRelay(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A relay output of the camera, by its ONVIF token (`poleside cameras relay ADDRESS`).

    It is in its safe state (off, unless `is_on_when_safe`) at start and exit, and leaves it for
    `max_on_s` at most, in orders one after another too, until it has rested for ten seconds. A
    relay that is not listed can't be switched by anybody.
    """

    token: Token
    is_on_when_safe: bool = False
    max_on_s: Annotated[float, Meta(gt=0, le=MAX_ON_S)] = 60.0
