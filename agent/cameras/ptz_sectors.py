"""Where a camera must not look: windows of a home, a school yard. Pure; used in the camera's gate.

A sector is a box of pan and tilt in the camera's own numbers. `pan_from` above `pan_to` goes over
the end of the range, as 350 to 10 degrees does.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from agent.cameras.port import PtzPosition
from agent.core.errors import CommandError

_ON_THE_WAY = tuple(step / 8 for step in range(1, 9))


@dataclass(frozen=True, slots=True)
class Sector:
    """One forbidden sector; an open side is infinite."""

    pan_from: float = -inf
    pan_to: float = inf
    tilt_from: float = -inf
    tilt_to: float = inf

    def depth(self, pan: float, tilt: float) -> float:
        """Return how deep inside it a direction lies, 0.0 outside."""
        if self.pan_from > self.pan_to:
            over_the_end = (
                Sector(self.pan_from, inf, self.tilt_from, self.tilt_to),
                Sector(-inf, self.pan_to, self.tilt_from, self.tilt_to),
            )
            return max(part.depth(pan, tilt) for part in over_the_end)
        inside = (
            pan - self.pan_from,
            self.pan_to - pan,
            tilt - self.tilt_from,
            self.tilt_to - tilt,
        )
        return max(0.0, min(inside))


class Sectors:
    """All forbidden sectors of one camera; false when there are none."""

    def __init__(self, sectors: Iterable[Sector] = ()) -> None:
        self.use(sectors)

    def use(self, sectors: Iterable[Sector]) -> None:
        """Forbid these from now on, also to a move that is under way."""
        self._sectors = tuple(sectors)

    def __bool__(self) -> bool:
        return bool(self._sectors)

    def forbid(self, now: PtzPosition, later: PtzPosition) -> bool:
        """Say whether moving on from `now` to `later` leads into a sector, or deeper into one.

        Out of a sector is always allowed: somebody may have turned the camera there by hand.
        """
        if not self._sectors:
            return False
        if now.pan is None or now.tilt is None or later.pan is None or later.tilt is None:
            return True  # who does not know where it looks can keep nothing secret
        for sector in self._sectors:
            before = sector.depth(now.pan, now.tilt)
            for share in _ON_THE_WAY:  # a thin sector must not be jumped over
                after = sector.depth(
                    now.pan + (later.pan - now.pan) * share,
                    now.tilt + (later.tilt - now.tilt) * share,
                )
                if after > 0.0 and after >= before:
                    return True
        return False

    def check_place(self, pan: float | None, tilt: float | None) -> None:
        """Raise `CommandError` `ptz.forbidden` for a place in a sector."""
        if not self._sectors:
            return
        if pan is None or tilt is None:
            raise forbidden("where that is cannot be told")
        if any(sector.depth(pan, tilt) > 0.0 for sector in self._sectors):
            raise forbidden(f"pan {pan:g}, tilt {tilt:g} lies in a forbidden sector")


def forbidden(why: str) -> CommandError:
    """Return the error of a move that the sectors forbid."""
    return CommandError(
        "ptz.forbidden",
        f"The camera must not look there: {why}.",
        hint="Choose another place; sectors are `ptz.sectors` in the camera's settings.",
    )
