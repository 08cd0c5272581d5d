"""Who left one camera and came to another: the same, by look and travel time, or not for sure.

Nobody is linked silently when it is ambiguous: with two alike at either end there is no link, and
one that was made before its rival came is withdrawn. How rare a look is decides how much it proves:
among people all in black, black proves nothing. Runs in the core; no native library.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.messages.passing import Passing
from agent.sightings.likeness import likeness

DECIDE_AFTER_S = 8.0
"""After somebody came: by then everybody who left before has been told gone."""
LEAST_LIKE, CLEARLY_LIKE = 0.6, 0.15
LEAST_CERTAIN = 0.4
_FOUND_AGAIN_S, _FOUND_AGAIN_AT = 5.0, 0.15
"""The tracker lost somebody's number and gave another, there (in parts of the picture)."""
_SEEN_LATELY = 100
_MOST = 200  # of those who passed lately; in a crowd beyond that nobody is sure anyway
_UNSEEN_OTHERS, _UNSEEN_ALIKE = 4, 1  # who is not seen yet may be as like as anybody

Key = tuple[str, int, object]
Window = tuple[float, float]
Travel = Callable[[str, str], Window]
"""From one camera to another: the shortest and the longest time, in seconds."""


@dataclass(frozen=True, slots=True)
class Handover:
    """`before` left one camera and is `after` on another. `is_off`: it was said, but is not so."""

    before: Passing
    after: Passing
    certainty: float
    is_off: bool = False

    @property
    def travel_s(self) -> float:
        """How long the way took."""
        return self.after.begin_s - self.before.last_s


class Matcher:
    """Holds who passed lately; `longest_s` bounds how long ago somebody may have left."""

    def __init__(self, travel: Travel, longest_s: float = 600.0) -> None:
        self._travel, self._longest_s = travel, longest_s
        self._passings: dict[Key, Passing] = {}
        self._decided: set[Key] = set()
        self._onward: dict[Key, Handover] = {}
        self._disputed: set[Key] = set()
        self._first: dict[Key, Key] = {}  # of a linked one: the first of its chain
        self._lately: deque[Key] = deque(maxlen=_SEEN_LATELY)
        self.ambiguous_total = 0

    def take(self, passing: Passing) -> None:
        """Take what a camera tells of somebody: the first time, or what has become of it."""
        if passing.key not in self._passings:
            self._lately.append(passing.key)
        self._passings[passing.key] = passing

    def settle(self, now_s: float) -> list[Handover]:
        """Return the links that can be said now, and those that turned out to be no longer sure."""
        self._forget(now_s)
        said: list[Handover] = []
        due = [one for one in self._passings.values() if one.key not in self._decided]
        for passing in sorted(due, key=lambda one: one.begin_s):
            if now_s - passing.begin_s >= DECIDE_AFTER_S:
                self._decided.add(passing.key)
                said += self._decide(passing)
        return said

    def _decide(self, after: Passing) -> Iterator[Handover]:
        fits = sorted(self._fits(after), key=lambda fit: -fit[0])
        if not fits:
            return
        like, before = fits[0]
        rivals = [one for other, one in fits[1:] if other > like - CLEARLY_LIKE]
        rivals += self._also_came(before, after, like)
        rivals += self._may_be_back(after, like)
        known = self._onward.pop(before.key, None)
        if known is not None:  # somebody as like has come since
            self._disputed.add(before.key)
            self._first.pop(known.after.key, None)
            yield Handover(known.before, known.after, known.certainty, is_off=True)
        if rivals or known is not None or before.key in self._disputed:
            self.ambiguous_total += 1
            return
        link = Handover(before, after, self._certainty(after, before, like))
        if link.certainty >= LEAST_CERTAIN:
            self._onward[before.key] = link
            self._first[after.key] = self._first.get(before.key, before.key)
            yield link

    def _fits(self, after: Passing) -> Iterator[tuple[float, Passing]]:
        """Yield who may be this one, as far as look and time go, with how like."""
        for before in self._passings.values():
            if not self._is_in_time(before, after):
                continue
            like = likeness(before, after) or 0.0
            if (
                like >= LEAST_LIKE
                and self._is_free(before, after, like)
                and not self._goes_on(before)
            ):
                yield like, before

    def _is_free(self, before: Passing, after: Passing, like: float) -> bool:
        """Say whether somebody is not known, by far or since then, to be another one."""
        link = self._onward.get(before.key)
        taken = self._passings.get(link.after.key) if link else None
        if taken is None:
            return True
        if taken.is_over and taken.last_s <= after.begin_s:  # has come and gone meanwhile
            return False
        return like > (likeness(before, taken) or 0.0) - CLEARLY_LIKE

    def _is_in_time(self, before: Passing, after: Passing) -> bool:
        if before.camera_id == after.camera_id or not before.is_over:
            return False
        shortest_s, longest_s = self._travel(before.camera_id, after.camera_id)
        return shortest_s <= after.begin_s - before.last_s <= longest_s

    def _goes_on(self, before: Passing) -> bool:
        """Say whether its camera found it again at once: it had not left."""
        return any(_is_found_again(before, one) for one in self._passings.values())

    def _also_came(self, before: Passing, after: Passing, like: float) -> Iterator[Passing]:
        """Yield who else came in that time, or came back, and is as like the one who left."""
        for one in self._passings.values():
            is_back = one.camera_id == before.camera_id and one.begin_s > before.last_s
            if one.key in {before.key, after.key} or not (is_back or self._is_in_time(before, one)):
                continue
            if _is_found_again(one, after) or (after.is_over and one.begin_s > after.last_s):
                continue  # the same whose number changed, or who went on from there
            if (likeness(before, one) or 0.0) > like - CLEARLY_LIKE:
                yield one

    def _may_be_back(self, after: Passing, like: float) -> Iterator[Passing]:
        """Yield who left this very camera, nobody knows whereto, and is as like."""
        _, longest_s = self._travel(after.camera_id, after.camera_id)
        for one in self._passings.values():
            if (
                one.camera_id == after.camera_id
                and one.is_over
                and 0 <= after.begin_s - one.last_s <= longest_s
                and one.key not in self._onward
                and (likeness(one, after) or 0.0) > like - CLEARLY_LIKE
            ):
                yield one

    def _certainty(self, after: Passing, before: Passing, like: float) -> float:
        """Return how likely it is the same: as like as it looks, as rare as that look is."""
        own = self._first.get(before.key, before.key)
        others = [
            self._passings[key]
            for key in self._lately
            if key != after.key and self._first.get(key, key) != own
        ]
        alike = sum((likeness(after, one) or 0.0) > like - CLEARLY_LIKE for one in others)
        common = (alike + _UNSEEN_ALIKE) / (len(others) + _UNSEEN_OTHERS)
        return round(like * (1 - common), 2)

    def _forget(self, now_s: float) -> None:
        old: list[Key] = [
            one.key for one in self._passings.values() if now_s - one.last_s > self._longest_s
        ]
        old += list(self._passings)[: max(0, len(self._passings) - len(old) - _MOST)]
        for key in dict.fromkeys(old):
            del self._passings[key]
            self._onward.pop(key, None)
            self._first.pop(key, None)
            self._decided.discard(key)
            self._disputed.discard(key)
            if key in self._lately:
                self._lately.remove(key)


def _is_found_again(before: Passing, after: Passing) -> bool:
    """Say whether one camera saw one as like begin where and when another was lost."""
    return (
        before.camera_id == after.camera_id
        and before.key != after.key
        and -1.0 <= after.begin_s - before.last_s <= _FOUND_AGAIN_S
        and math.dist(before.left_at, after.came_at) <= _FOUND_AGAIN_AT
        and (likeness(before, after) or 0.0) >= LEAST_LIKE
    )
