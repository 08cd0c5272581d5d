"""What lies around a rule's hit is kept, under the incident it became; in the worker.

A rule that may be in its shadow time keeps nothing before the core has said that it was raised.
While heat keeps the camera from detecting, all of its time is kept as an event's is.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass

from agent.buffer.index import Moment
from agent.buffer.locks import Locks
from agent.buffer.stage import Stage
from agent.core.errors import StorageError
from agent.messages.vision import HitState, RuleHit
from agent.messages.worker import HitAck
from agent.settings.model import CameraSettings

HEAT = "_heat"  # no rule's id begins so


@dataclass(slots=True)
class _Doubtful:
    """A hit of which is not known whether it was raised; until when it lasted so far."""

    hit_id: str
    began: Moment
    last_us: int
    has_ended: bool = False


class EventLocks:
    """One camera's locks by hits. Hits come from the sub stream's thread, words from the line's."""

    def __init__(self, locks: Locks, stage: Stage | None, camera: CameraSettings | None) -> None:
        self._locks, self._stage = locks, stage
        self._waiting: dict[str, _Doubtful] = {}
        self._raised: set[str] = set()
        self._lock = threading.Lock()
        self._is_shed = False
        self.use(camera)

    def use(self, camera: CameraSettings | None, *, is_shed: bool = False) -> None:
        """Take over which rules may be in their shadow time, and whether nobody looks for heat."""
        self._is_shed = is_shed
        rules = camera.rules if camera else ()
        self._shadowed = frozenset(rule.rule_id for rule in rules if rule.shadow_days)

    def turn(self, now: Moment) -> None:
        """Begin, go on with or end what is kept for heat; every second."""
        with self._lock, suppress(StorageError):  # tried again at the next turn
            if self._is_shed and not self._locks.is_kept(HEAT):  # the mode may have changed since
                self._keep(f"heat-{now.utc_us}", HEAT, now, is_held=False)
            else:
                self._locks.hit_goes_on(HEAT, now.utc_us, ended=not self._is_shed)

    def hit(self, hit: RuleHit, moment: Moment) -> None:
        """Keep what lies around a hit; of a doubtful one only note what would be kept."""
        ended, rule_id = hit.state is HitState.ENDED, hit.rule_id
        with self._lock, suppress(StorageError):  # said and journalled; the telling goes on
            if hit.state is HitState.BEGAN:
                self._waiting.pop(rule_id, None)
                if rule_id in self._shadowed - self._raised:
                    self._waiting[rule_id] = _Doubtful(hit.hit_id, moment, moment.utc_us)
                else:
                    self._keep(hit.hit_id, rule_id, moment)
            elif doubtful := self._waiting.get(rule_id):
                doubtful.last_us, doubtful.has_ended = moment.utc_us, ended
            else:
                self._locks.hit_goes_on(rule_id, moment.utc_us, ended=ended)

    def told(self, ack: HitAck) -> None:
        """Take the core's word on a hit: which incident it belongs to, or that it is none."""
        with self._lock, suppress(StorageError):
            rule_id = next((r for r, one in self._waiting.items() if one.hit_id == ack.hit_id), "")
            doubtful = self._waiting.pop(rule_id, None)
            if not ack.incident_id:
                return
            if doubtful is not None:
                self._raised.add(rule_id)
                self._keep(ack.hit_id, rule_id, doubtful.began)
                self._locks.hit_goes_on(rule_id, doubtful.last_us, ended=doubtful.has_ended)
            self._locks.name_incident(ack.hit_id, ack.incident_id)

    def _keep(self, hit_id: str, rule_id: str, moment: Moment, *, is_held: bool = True) -> None:
        if self._stage is not None:
            self._stage.event_began()
        self._locks.hit_began(hit_id, rule_id, moment, is_held=is_held)
