"""From the tracks of each look to one sighting a track, told when the track is over.

Runs in the camera worker's sub stream thread. Colours are looked at once a second and vote.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from agent.messages.vision import TrackedObject
from agent.sightings.colour import clothes, whole
from agent.sightings.store import Sighting
from agent.sightings.words import BAGS, COLOURS, UNKNOWN

Picture = NDArray[np.uint8]
Point = tuple[float, float]

GONE_AFTER_S = 4.0  # the tracker forgets sooner: the same number never comes back
LONGEST_S = 600.0  # who stays is told now and then
_LOOK_EVERY_S = 1.0
_MOST_PLACES = 24
_STILL = 0.04  # of the picture
_BAG_SEEN = 2


@dataclass(slots=True)
class _Open:
    first_at: datetime
    first_s: float
    thing: TrackedObject
    last_at: datetime
    last_s: float
    way: list[Point] = field(default_factory=list)
    heights: list[float] = field(default_factory=list)
    upper: Counter[int] = field(default_factory=Counter)
    lower: Counter[int] = field(default_factory=Counter)
    bags: Counter[str] = field(default_factory=Counter)
    best: float = 0.0
    jpeg: bytes = b""
    looked_s: float = float("-inf")


class Gatherer:
    """Follows what the tracker follows."""

    def __init__(
        self,
        thumbnail: Callable[[Picture], bytes],
        metres: Callable[[Point], Point | None] | None = None,
    ) -> None:
        """`thumbnail` encodes a cut; `metres` brings a foot point to the ground where it can."""
        self._thumbnail, self._metres = thumbnail, metres
        self._open: dict[int, _Open] = {}

    def look(
        self,
        tracks: Sequence[TrackedObject],
        picture: Callable[[], Picture],
        at: datetime,
        at_s: float,
        *,
        has_colour: bool,
    ) -> None:
        """Take the tracks of one look; `picture` (RGB) is made only when somebody needs it."""
        for track in tracks:
            one = self._open.get(track.track_id)
            if one is None:
                one = self._open[track.track_id] = _Open(at, at_s, track, at, at_s)
            one.last_at, one.last_s, one.thing = at, at_s, track
            if at_s - one.looked_s >= _LOOK_EVERY_S:
                one.looked_s = at_s
                self._study(one, picture(), tracks, has_colour=has_colour)

    def over(self, now_s: float, *, all_of_them: bool = False) -> list[Sighting]:
        """Return the sightings of those gone, and forget them."""
        ended = [
            number
            for number, one in self._open.items()
            if all_of_them or now_s - one.last_s > GONE_AFTER_S or now_s - one.first_s > LONGEST_S
        ]
        return [self._sighting(self._open.pop(number)) for number in ended]

    def _study(
        self, one: _Open, picture: Picture, tracks: Sequence[TrackedObject], *, has_colour: bool
    ) -> None:
        track, region = one.thing, one.thing.region
        one.way.append(track.foot)
        if len(one.way) > _MOST_PLACES:  # every other one: the whole way stays, more coarsely
            one.way = one.way[::2]
        one.heights.append(region.height)
        height_px, width_px = picture.shape[:2]
        cut = picture[
            int(region.y * height_px) : int((region.y + region.height) * height_px) + 1,
            int(region.x * width_px) : int((region.x + region.width) * width_px) + 1,
        ]
        if not cut.size:
            return
        if has_colour:
            upper, lower = clothes(cut) if track.label == "person" else (whole(cut), UNKNOWN)
            one.upper[upper] += 1
            one.lower[lower] += 1
        if track.label == "person":
            one.bags.update(other.label for other in tracks if _carries(track, other))
        value = track.score * region.width * region.height
        if value > 1.2 * one.best:
            one.best, one.jpeg = value, self._thumbnail(cut)

    def _sighting(self, one: _Open) -> Sighting:
        bag, times = (one.bags.most_common(1) or [("unknown", 0)])[0]
        return Sighting(
            begin=one.first_at,
            end=one.last_at,
            track_id=one.thing.track_id,
            label=one.thing.label,
            score=one.thing.score,
            height=float(np.median(one.heights)) if one.heights else 0.0,
            way=tuple(one.way) or (one.thing.foot,),
            upper=COLOURS[_vote(one.upper)],
            lower=COLOURS[_vote(one.lower)],
            bag=bag if times >= _BAG_SEEN else "unknown",
            direction=_direction(one.way),
            speed_mps=self._speed(one),
            jpeg=one.jpeg,
        )

    def _speed(self, one: _Open) -> float | None:
        """Return metres a second between first and last place; None when not calibrated."""
        if self._metres is None or len(one.way) < 2 or one.last_s <= one.first_s:
            return None
        first, last = self._metres(one.way[0]), self._metres(one.way[-1])
        if first is None or last is None:
            return None
        return float(np.hypot(last[0] - first[0], last[1] - first[1])) / (one.last_s - one.first_s)


def _vote(votes: Counter[int]) -> int:
    """Return the colour most often seen; looks that could not tell have no vote."""
    known = [(times, colour) for colour, times in votes.items() if colour != UNKNOWN]
    return max(known)[1] if known else UNKNOWN


def _carries(person: TrackedObject, other: TrackedObject) -> bool:
    if other.label not in BAGS:
        return False
    x, y = other.region.x + other.region.width / 2, other.region.y + other.region.height / 2
    own = person.region
    return own.x <= x <= own.x + own.width and own.y <= y <= own.y + own.height


def _direction(way: Sequence[Point]) -> str:
    if len(way) < 2:
        return "still"
    dx, dy = way[-1][0] - way[0][0], way[-1][1] - way[0][1]
    if max(abs(dx), abs(dy)) < _STILL:
        return "still"
    if abs(dx) >= abs(dy):
        return "right" if dx > 0 else "left"
    return "toward" if dy > 0 else "away"
