"""The events of a simulated camera: pull points with a queue each, and the state of each topic."""

import asyncio
import itertools
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agent.core.clock import Clock
from agent.simulators.camera.onvif_answers import notification

DIGITAL_INPUT = "tns1:Device/Trigger/DigitalInput"
MOTION = "tns1:RuleEngine/CellMotionDetector/Motion"
_MAX_QUEUED = 256

_Items = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class PullPoint:
    """One subscriber's queue; the oldest events are lost when it does not pull."""

    until: datetime
    queue: deque[str] = field(default_factory=lambda: deque(maxlen=_MAX_QUEUED))
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, message: str) -> None:
        self.queue.append(message)
        self.news.set()

    def take(self, limit: int) -> list[str]:
        taken = [self.queue.popleft() for _ in range(min(limit, len(self.queue)))]
        if not self.queue:
            self.news.clear()
        return taken


class EventSource:
    """All pull points of a camera. `max_points` as on real ones, where slots are few."""

    def __init__(self, clock: Clock, max_points: int = 4) -> None:
        self._clock, self._max_points = clock, max_points
        self._numbers = itertools.count(1)
        self._states: dict[tuple[str, _Items], _Items] = {}
        self.points: dict[str, PullPoint] = {}

    def fire(
        self, topic: str, source: Mapping[str, str], data: Mapping[str, str], at: datetime
    ) -> None:
        """Tell all subscribers that a property changed, and remember its state."""
        self._states[topic, tuple(source.items())] = tuple(data.items())
        for point in self._live(at).values():
            point.put(notification(topic, source, data, "Changed", at))

    def subscribe(self, now: datetime, lifetime_s: float) -> str | None:
        """Make a pull point and return its id, or None when all slots are taken."""
        if len(self._live(now)) >= self._max_points:
            return None
        point_id = str(next(self._numbers))
        self.points[point_id] = PullPoint(now + timedelta(seconds=lifetime_s))
        self.synchronise(point_id, now)
        return point_id

    def synchronise(self, point_id: str, now: datetime) -> None:
        """Send the state of every property again, as `Initialized`."""
        for (topic, source), data in self._states.items():
            message = notification(topic, dict(source), dict(data), "Initialized", now)
            self.points[point_id].put(message)

    async def pull(self, point: PullPoint, timeout_s: float, limit: int) -> list[str]:
        """Wait up to `timeout_s` for news; an empty list is a normal answer."""
        try:
            async with asyncio.timeout(timeout_s):
                await point.news.wait()
        except TimeoutError:
            return []
        return point.take(limit)

    def _live(self, now: datetime) -> dict[str, PullPoint]:
        self.points = {key: point for key, point in self.points.items() if point.until > now}
        return self.points
