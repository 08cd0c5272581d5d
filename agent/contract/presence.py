"""Is it there? The box's retained state (also its last will), and the center's."""

from msgspec import Struct

from agent.contract.events import UtcTime


class State(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One connection of one box. As last will it is `online: false` of the same `boot`, `conn`.

    `conn` is milliseconds since boot at connect, so it grows with every connection of one boot.
    A will only counts against the connection it names: a late one must not hide a newer `online`.
    `nonce` is fresh per connection; a box with an unsure clock takes only commands that echo it.
    """

    online: bool
    boot: int
    conn: int
    ver: str = ""
    t: UtcTime | None = None
    nonce: str = ""

    def supersedes(self, known: "State | None") -> bool:
        """Say whether this state, just received, is news to one who knows `known`."""
        if known is None or self.online:
            return True
        return (self.boot, self.conn) == (known.boot, known.conn)


class CenterState(Struct, frozen=True, kw_only=True):
    """Whether the center's ingest is alive. Boxes stop draining while it is not."""

    online: bool
