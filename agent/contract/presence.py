"""Is it there? The box's retained state (also its last will), and the center's."""

from typing import Annotated

from msgspec import Meta, Struct

from agent.contract.events import UtcTime


class State(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One connection of one box. As last will it is `online: false` of the same `boot`, `conn`.

    `conn` is milliseconds since boot at connect, so it grows with every connection of one boot.
    A will only counts against the connection it names: a late one must not hide a newer `online`.
    `nonce` is fresh per connection; a box with an unsure clock takes only commands that echo it.
    `bye` marks a planned end. `beat_s`: the box is heard at least so often while it is online.
    """

    online: bool
    boot: int
    conn: int
    ver: str = ""
    t: UtcTime | None = None
    nonce: str = ""
    bye: bool = False
    beat_s: float | None = None

    @property
    def connection(self) -> tuple[int, int]:
        """Which connection it speaks of; grows, unless the box lost its database."""
        return self.boot, self.conn

    def supersedes(self, known: "State | None") -> bool:
        """Say whether this state, which may have waited in a queue, is news to who knows `known`.

        A will counts against its own connection only. An older connection is news only when its
        time is later: the box then counts anew.
        """
        if known is None or self.connection == known.connection:
            return True
        if not self.online:
            return False
        is_later = self.t is not None and known.t is not None and self.t > known.t
        return self.connection > known.connection or known.t is None or is_later


class CenterState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether the center's ingest is alive. Boxes stop draining while it is not.

    Each time it is said anew, boxes say their own state again within ten seconds. Until
    `storm_until`, an hour at most, they lengthen telemetry and leave thumbnails out.
    `back_after_s`: the broker will be away; a box whose connection is lost within a quarter of an
    hour comes back after so long, and up to as long again at random. It is not signed: it can make
    a box sparing and patient, no more.
    """

    online: bool
    storm_until: UtcTime | None = None
    back_after_s: Annotated[float, Meta(ge=0, le=600)] | None = None
