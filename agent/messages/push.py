"""Live pushes: the core orders them of a camera's worker, and is told how they do."""

from datetime import datetime
from typing import Literal

from msgspec import Struct


class StartPush(Struct, frozen=True, kw_only=True, tag="start-push"):
    """Push a stream to `url` until `until_mono_s`; the same id again only changes token and end.

    `is_ladder`: from main down to a JPEG a second, as the line allows. `max_kbps` 0 is no limit.
    `token` is a secret. `ca` (PEM) vouches for the relay. With `since` and `until` it is recorded
    video of that time, of `recorded` (or as a clip chooses), and ends when all is shown.
    """

    push_id: str
    stream: Literal["main", "sub"]
    url: str
    token: str
    until_mono_s: float
    max_kbps: int = 0
    is_ladder: bool = False
    ca: str = ""
    since: datetime | None = None
    until: datetime | None = None
    recorded: Literal["auto", "main", "sub"] = "auto"

    def __repr__(self) -> str:
        return f"StartPush({self.push_id}, {self.stream})"


class StopPush(Struct, frozen=True, kw_only=True, tag="stop-push"):
    """End a push; a `PushState` with `ended` answers, also when there is none."""

    push_id: str


class Lack(Struct, frozen=True, kw_only=True):
    """A time that recorded video could not be shown of. `cause`: of `agent.clips.holes`."""

    since: datetime
    until: datetime
    cause: str


class PushState(Struct, frozen=True, kw_only=True, tag="push-state"):
    """Counters since the worker began this push. After `ended` no packet follows.

    Of recorded video, once all was shown: what it `lacks`; `broke_off`: not all was, for `code`.
    """

    push_id: str
    bytes_total: int = 0
    packets_total: int = 0
    stalls_total: int = 0
    connects_total: int = 0
    code: str = ""
    ended: bool = False
    lacks: tuple[Lack, ...] = ()
    broke_off: bool = False
