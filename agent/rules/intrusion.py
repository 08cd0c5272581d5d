"""Someone is where nobody should be: a foot point stands in the zone for the dwell time.

Runs in the camera worker. Trackers lose identities, so dwell time belongs to a *stay* rather than
to a track: a track that appears where another was just lost carries its stay on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agent.messages.vision import HitState, RuleChange, TrackedObject
from agent.rules.zone import contains
from agent.settings.rules import IntrusionRule

CONTINUES_EVERY_S = 5.0
_INHERIT_WITHIN_S = 1.0
_INHERIT_MIN_REACH = 0.05  # of the frame, or half the object's height if that is more
_BLIND_S = 5.0  # without any update for so long (or `clear_s`), nobody knows who was there

UNWATCHED = "unwatched"


@dataclass(slots=True)
class _Stay:
    """One unbroken presence in the zone. `sure` once its score has reached the rule's."""

    since_s: float
    last: TrackedObject
    last_s: float
    sure: bool = False


class Intrusion:
    """Began: someone of the labels stood in the zone for `dwell_s`. Ended: `clear_s` nobody."""

    kind = "intrusion"

    def __init__(self, settings: IntrusionRule) -> None:
        self.rule_id = settings.rule_id
        self._settings = settings
        self._stays: dict[int, _Stay] = {}
        self._active = False
        self._updated_s: float | None = None
        self._told_s = 0.0  # when the last change was told
        self._occupied_s = 0.0  # when somebody sure was last seen in the zone

    def update(self, tracks: Sequence[TrackedObject], at_s: float) -> list[RuleChange]:
        """Take the tracks of one frame at `at_s` (monotonic seconds, never going back)."""
        changes = self._after_blindness(at_s)
        self._updated_s = at_s
        self._follow(tracks, at_s)
        present = [stay for stay in self._stays.values() if stay.sure and stay.last_s == at_s]
        if present:
            self._occupied_s = at_s
        if not self._active:
            dwelt = [s for s in present if at_s - s.since_s >= self._settings.dwell_s]
            if dwelt:
                self._active = True
                changes.append(self._change(HitState.BEGAN, at_s, dwelt))
        elif not present and at_s - self._occupied_s >= self._settings.clear_s:
            changes.append(self._end(at_s))
        elif present and at_s - self._told_s >= CONTINUES_EVERY_S:
            changes.append(self._change(HitState.CONTINUES, at_s, present))
        return changes

    def _counts(self, track: TrackedObject) -> bool:
        return track.label in self._settings.labels and contains(self._settings.zone, track.foot)

    def _after_blindness(self, at_s: float) -> list[RuleChange]:
        """Forget stays nobody watched; a dwell time must have been seen, not supposed."""
        limit_s = max(_BLIND_S, self._settings.clear_s)
        if self._updated_s is None or at_s - self._updated_s <= limit_s:
            return []
        self._stays.clear()
        return [self._end(at_s, reason=UNWATCHED)] if self._active else []

    def _follow(self, tracks: Sequence[TrackedObject], at_s: float) -> None:
        """Carry the stays on to this frame, and drop those broken for `clear_s`."""
        seen_ids = {track.track_id for track in tracks}
        for track in filter(self._counts, tracks):
            stay = self._stays.get(track.track_id) or self._inherited(track, seen_ids, at_s)
            if stay is None:
                stay = _Stay(since_s=at_s, last=track, last_s=at_s)
            stay.last, stay.last_s = track, at_s
            stay.sure = stay.sure or track.score >= self._settings.min_score
            self._stays[track.track_id] = stay
        self._stays = {
            track_id: stay
            for track_id, stay in self._stays.items()
            if at_s - stay.last_s < self._settings.clear_s
        }

    def _inherited(self, track: TrackedObject, seen_ids: set[int], at_s: float) -> _Stay | None:
        """Take over the nearest stay whose track was lost a moment ago within reach."""
        reach = max(_INHERIT_MIN_REACH, track.region.height / 2)
        lost = [
            (math.dist(stay.last.foot, track.foot), track_id)
            for track_id, stay in self._stays.items()
            if track_id not in seen_ids and at_s - stay.last_s <= _INHERIT_WITHIN_S
        ]
        distance, track_id = min(lost, default=(math.inf, -1))
        return self._stays.pop(track_id) if distance <= reach else None

    def _change(self, state: HitState, at_s: float, stays: Sequence[_Stay]) -> RuleChange:
        self._told_s = at_s
        return RuleChange(
            rule_id=self.rule_id, state=state, objects=tuple(stay.last for stay in stays)
        )

    def _end(self, at_s: float, reason: str = "clear") -> RuleChange:
        self._active, self._told_s = False, at_s
        return RuleChange(rule_id=self.rule_id, state=HitState.ENDED, reason=reason)
