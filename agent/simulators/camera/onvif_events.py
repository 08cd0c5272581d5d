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
    is_mute: bool = False
    push_to: str = ""
    roots: frozenset[str] = frozenset()  # told of these trees only; none: of all

    def put(self, message: str) -> None:
        if self.is_mute:
            return
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
        self.opened_total = 0

    def fire(
        self, topic: str, source: Mapping[str, str], data: Mapping[str, str], at: datetime
    ) -> None:
        """Tell all subscribers that a property changed, and remember its state."""
        self._states[topic, tuple(source.items())] = tuple(data.items())
        for point in self.live(at).values():
            if not point.roots or root_of(topic) in point.roots:
                point.put(notification(topic, source, data, "Changed", at))

    def begin(self, topic: str, source: Mapping[str, str], data: Mapping[str, str]) -> None:
        """Give a property the state it has from the start; told when it is asked for."""
        self._states.setdefault((topic, tuple(source.items())), tuple(data.items()))

    def subscribe(self, now: datetime, lifetime_s: float, when_full: str = "fault") -> str | None:
        """Make a pull point and return its id, or None when all slots are taken.

        `when_full`: "evict" ends the oldest one for it, "deafen" tells that one nothing more,
        "silent" gives one that never tells.
        """
        live = self.live(now)
        is_full = len(live) >= self._max_points
        if is_full and when_full == "fault":
            return None
        if is_full and when_full == "evict":
            del self.points[next(iter(live))]
        if is_full and when_full == "deafen":
            for oldest in [point for point in live.values() if not point.is_mute][:1]:
                oldest.is_mute = True
        point_id = str(next(self._numbers))
        self.opened_total += 1
        is_mute = is_full and when_full == "silent"
        self.points[point_id] = PullPoint(now + timedelta(seconds=lifetime_s), is_mute=is_mute)
        self.synchronise(point_id, now)
        return point_id

    def synchronise(self, point_id: str, now: datetime) -> None:
        """Send the state of every property again, as `Initialized`."""
        point = self.points[point_id]
        for (topic, source), data in self._states.items():
            if not point.roots or root_of(topic) in point.roots:
                point.put(notification(topic, dict(source), dict(data), "Initialized", now))

    def forget_all(self) -> None:
        """The camera starts anew: subscriptions are gone, and their numbers begin again."""
        self.points = {}
        self._numbers = itertools.count(1)

    async def pull(self, point: PullPoint, timeout_s: float, limit: int) -> list[str]:
        """Wait up to `timeout_s` for news; an empty list is a normal answer."""
        try:
            async with asyncio.timeout(timeout_s):
                await point.news.wait()
        except TimeoutError:
            return []
        return point.take(limit)

    def live(self, at: datetime) -> dict[str, PullPoint]:
        """Return the pull points whose time is not over."""
        self.points = {key: point for key, point in self.points.items() if point.until > at}
        return self.points


def root_of(topic: str) -> str:
    """Return the tree a topic belongs to, without a prefix."""
    return topic.partition("/")[0].rpartition(":")[2]


def in_dialect(
    dialect: str, topic: str, source: Mapping[str, str], data: Mapping[str, str]
) -> tuple[str, Mapping[str, str], Mapping[str, str]]:
    """Return a motion event as cameras of a maker write it; others are told as they are."""
    if topic != MOTION:
        return topic, source, data
    told = next(iter(data.values()), "false")
    match dialect:
        case "tp-link":
            return f"{topic}/", source, {"IsMotion": told}
        case "reolink":
            return "tns1:RuleEngine/tns1:MyRuleDetector/tns1:PeopleDetect", source, {"State": told}
        case "axis":
            number = "1" if told == "true" else "0"
            return "tns1:VideoSource/tnsaxis:MotionAlarm.", {"Source": "0"}, {"State": number}
        case "hikvision":
            rule = {"VideoSourceToken": "0", "Rule": "MyMotion"}
            return "tns1:RuleEngine/hik:CellMotionDetector/Motion", rule, {"IsMotion": told}
        case _:
            return topic, source, data
