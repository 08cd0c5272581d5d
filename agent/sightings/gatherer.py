"""From the tracks of each look to one sighting a track, told when the track is over.

Runs in the camera worker's sub stream thread. Colours are looked at once a second, of all at the
same time, as making the picture is what costs; they vote.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from agent.contract.events import Region
from agent.messages.passing import Passing
from agent.messages.vision import TrackedObject
from agent.sightings.colour import Look, looks_at, plain
from agent.sightings.store import OnGround, Sighting
from agent.sightings.words import BAGS, COLOURS, UNKNOWN

Picture = NDArray[np.uint8]
Point = tuple[float, float]

GONE_AFTER_S = 4.0  # the tracker forgets sooner: the same number never comes back
LONGEST_S = 600.0  # who stays is told now and then
_LOOK_EVERY_S = 1.0
_MOST_PLACES = 24
_STILL = 0.04  # of the picture
_SEEN = 2  # looks that agree: a bag, a hat
_DESCRIBED_AFTER = 3  # looks


def _none() -> NDArray[np.float64]:
    return np.zeros(len(COLOURS))


@dataclass(slots=True)
class _Open:
    """`since` is when the track began; `first` when this part of it did.

    `looked_in`: the second in which its colours were looked at.
    """

    since: tuple[datetime, float, Point]
    first_at: datetime
    first_s: float
    thing: TrackedObject
    last_at: datetime
    last_s: float
    way: list[Point] = field(default_factory=list)
    ground: list[Point] = field(default_factory=list)
    heights: list[float] = field(default_factory=list)
    heights_m: list[float] = field(default_factory=list)
    speeds_mps: list[float] = field(default_factory=list)
    upper: Counter[int] = field(default_factory=Counter)
    lower: Counter[int] = field(default_factory=Counter)
    hat: Counter[int] = field(default_factory=Counter)
    shares: NDArray[np.float64] = field(default_factory=lambda: np.stack([_none(), _none()]))
    bags: Counter[str] = field(default_factory=Counter)
    best: float = 0.0
    cut: Picture | None = None
    looked_in: float = float("-inf")
    is_described: bool = False


class Gatherer:
    """Follows what the tracker follows; `tell` hears of each once described, and once over."""

    def __init__(
        self,
        thumbnail: Callable[[Picture], bytes],
        tell: Callable[[Passing], None] = lambda _: None,
        camera_id: str = "",
    ) -> None:
        """`thumbnail` encodes a cut."""
        self._thumbnail, self._tell, self._camera_id = thumbnail, tell, camera_id
        self._open: dict[int, _Open] = {}

    def look(
        self,
        tracks: Sequence[TrackedObject],
        picture: Callable[[], tuple[Picture, bool]],
        at: datetime,
        at_s: float,
    ) -> None:
        """Take the tracks of one look, at `at`; a track's times go on from its own first one.

        `picture`, in RGB and whether it has colour at all, is made only when somebody needs it.
        """
        second, due = at_s // _LOOK_EVERY_S, []
        for track in tracks:
            one = self._open.get(track.track_id)
            if one is None:
                since = (at, at_s, track.foot)
                one = self._open[track.track_id] = _Open(since, at, at_s, track, at, at_s)
            began, began_s, _ = one.since  # a clock that is set meanwhile tears no track
            one.last_at = began + timedelta(seconds=at_s - began_s)
            one.last_s, one.thing = at_s, track
            if second > one.looked_in:
                one.looked_in = second
                due.append(one)
        if due:
            self._study(due, *picture(), tracks)
        for one in due:
            if not one.is_described and len(one.way) >= _DESCRIBED_AFTER:
                one.is_described = True
                self._tell(self._passing(one))

    def over(self, now_s: float, *, all_of_them: bool = False) -> list[Sighting]:
        """Return the sightings of those gone, and forget them; of who stays, a part."""
        ended = []
        for number, one in list(self._open.items()):
            is_gone = all_of_them or now_s - one.last_s > GONE_AFTER_S
            if not is_gone and now_s - one.first_s <= LONGEST_S:
                continue
            del self._open[number]
            if one.way:
                jpeg = b"" if one.cut is None else self._thumbnail(one.cut)
                ended.append(_sighting(one, jpeg))
            if is_gone:
                self._tell(structs.replace(self._passing(one), is_over=True))
            else:
                self._open[number] = replace(
                    _Open(one.since, one.last_at, one.last_s, one.thing, one.last_at, one.last_s),
                    shares=one.shares,
                    is_described=one.is_described,
                )
        return ended

    def _study(
        self,
        due: Sequence[_Open],
        picture: Picture,
        has_colour: bool,
        tracks: Sequence[TrackedObject],
    ) -> None:
        cuts = []
        for one in due:
            _keep_place(one, one.thing)
            one.heights.append(one.thing.region.height)
            cuts.append((_cut(picture, one.thing.region), one.thing.label == "person"))
        looks = looks_at(cuts) if has_colour else [Look(_none(), _none())] * len(cuts)
        for one, (cut, is_person), look in zip(due, cuts, looks, strict=True):
            if not cut.size:
                continue
            one.shares += (look.upper, look.lower)
            one.upper[plain(look.upper)] += 1
            one.lower[plain(look.lower)] += 1
            if is_person:
                one.bags.update(other.label for other in tracks if _carries(one.thing, other))
                one.hat[look.hat] += 1
            region = one.thing.region
            value = one.thing.score * region.width * region.height
            if value > 1.2 * one.best:
                one.best, one.cut = value, cut.copy()  # encoded once, when it is over

    def _passing(self, one: _Open) -> Passing:
        begin, begin_s, came_at = one.since
        upper, lower = (
            tuple(round(float(v), 3) for v in part / part.sum()) if part.any() else ()
            for part in one.shares
        )
        return Passing(
            camera_id=self._camera_id,
            track_id=one.thing.track_id,
            label=one.thing.label,
            begin=begin,
            begin_s=begin_s,
            last=one.last_at,
            last_s=one.last_s,
            came_at=came_at,
            left_at=one.thing.foot,
            upper=upper,
            lower=lower,
            height_m=_middle(one.heights_m),
        )


def _cut(picture: Picture, region: Region) -> Picture:
    height_px, width_px = picture.shape[:2]
    return picture[
        int(region.y * height_px) : int((region.y + region.height) * height_px) + 1,
        int(region.x * width_px) : int((region.x + region.width) * width_px) + 1,
    ]


def _keep_place(one: _Open, track: TrackedObject) -> None:
    one.way.append(track.foot)
    if len(one.way) > _MOST_PLACES:  # every other one: the whole way stays, more coarsely
        one.way = one.way[::2]
    if track.ground_m is not None:
        one.ground = [*one.ground[:1], track.ground_m]
    if track.height_m is not None:
        one.heights_m.append(track.height_m)
    if track.speed_mps is not None:
        one.speeds_mps.append(track.speed_mps)


def _sighting(one: _Open, jpeg: bytes) -> Sighting:
    bag, bags = (one.bags.most_common(1) or [("unknown", 0)])[0]
    worn = _vote(one.hat)
    return Sighting(
        begin=one.first_at,
        end=one.last_at,
        track_id=one.thing.track_id,
        label=one.thing.label,
        score=one.thing.score,
        height=float(np.median(one.heights)),
        way=tuple(one.way),
        upper=COLOURS[_vote(one.upper)],
        lower=COLOURS[_vote(one.lower)],
        bag=bag if bags >= _SEEN else "unknown",
        hat=COLOURS[worn] if one.hat[worn] >= max(_SEEN, one.hat.total() / 2) else "unknown",
        direction=_direction(one.way),
        speed_mps=_middle(one.speeds_mps),
        ground=OnGround(one.ground[0], one.ground[-1], _middle(one.heights_m))
        if one.ground
        else None,
        jpeg=jpeg,
        begin_s=one.first_s,
    )


def _middle(values: Sequence[float]) -> float | None:
    return round(float(np.median(values)), 2) if values else None


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
