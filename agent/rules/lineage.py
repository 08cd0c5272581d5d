"""What a rule remembers of each object, carried on when the tracker loses an identity.

A track that appears where another was just lost takes over what was remembered of that one:
in a crowd identities last a minute or so, and a dwell time must not begin anew with each.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from agent.messages.vision import TrackedObject

_MIN_REACH = 0.1  # of the frame, times `reach`
Memory = TypeVar("Memory")


@dataclass(slots=True)
class _Line(Generic[Memory]):
    memory: Memory
    last: TrackedObject
    last_s: float


class Lineages(Generic[Memory]):
    """One memory an object, made by `begin(track, at_s)` and kept `keep_s` after it was seen.

    `inherit_s`: for so long after a track was lost, a new one within `reach` of it (in heights of
    the object) takes it over, when the taller is no more than `alike` times the other.
    """

    def __init__(
        self,
        begin: Callable[[TrackedObject, float], Memory],
        *,
        keep_s: float = 3.0,
        inherit_s: float = 1.0,
        reach: float = 0.5,
        alike: float = math.inf,
    ) -> None:
        self._begin, self._inherit_s = begin, inherit_s
        self._reach, self._alike = reach, alike
        self._keep_s = max(keep_s, inherit_s)
        self._lines: dict[int, _Line[Memory]] = {}

    def follow(
        self, tracks: Sequence[TrackedObject], at_s: float
    ) -> list[tuple[TrackedObject, Memory]]:
        """Return each track with what is remembered of it, `at_s` never going back."""
        seen_ids = {track.track_id for track in tracks}
        found = []
        for track in tracks:
            line = self._lines.get(track.track_id) or self._inherited(track, seen_ids, at_s)
            if line is None:
                line = _Line(self._begin(track, at_s), track, at_s)
            line.last, line.last_s = track, at_s
            self._lines[track.track_id] = line
            found.append((track, line.memory))
        self._lines = {
            track_id: line
            for track_id, line in self._lines.items()
            if at_s - line.last_s < self._keep_s or track_id in seen_ids
        }
        return found

    def clear(self) -> None:
        """Forget everybody."""
        self._lines.clear()

    def _inherited(
        self, track: TrackedObject, seen_ids: set[int], at_s: float
    ) -> _Line[Memory] | None:
        reach = self._reach * max(_MIN_REACH, track.region.height)
        lost = [
            (math.dist(line.last.foot, track.foot), track_id)
            for track_id, line in self._lines.items()
            if track_id not in seen_ids
            and at_s - line.last_s <= self._inherit_s
            and self._is_of_a_size(line.last, track)
        ]
        distance, track_id = min(lost, default=(math.inf, -1))
        return self._lines.pop(track_id) if distance <= reach else None

    def _is_of_a_size(self, one: TrackedObject, other: TrackedObject) -> bool:
        low, high = sorted((one.region.height, other.region.height))
        return high <= self._alike * low
