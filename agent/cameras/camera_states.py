"""From a camera's event messages to what began, goes on and ended: one state a topic and source.

`Initialized` is state, never an alarm; what is told twice is told once; what never ends is ended by
time. Unknown topics are passed on raw, and counted. No threads, no clock of its own.
"""

import re
from collections import Counter, OrderedDict
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from agent.cameras.notifications import Items, Notification, Operation
from agent.cameras.topics import Topic, find
from agent.cameras.xml_text import is_true

UNKNOWN = "unknown"
SAY_AGAIN_S = 5.0
UNKNOWN_HOLD_S = 60.0
_MOST_STATES, _MOST_SEEN = 512, 1024
_NO_SLUG = re.compile(r"[^a-z0-9]+")
_TRUE_WORDS = ("state", "logicalstate", "active", "alarm")


class Turn(Enum):
    """What became of a state."""

    BEGAN = auto()
    GOES_ON = auto()
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class CameraHit:
    """A state of the camera's own analytics or inputs turned. `rule` is a slug, `raw` its words."""

    rule: str
    meaning: str
    kind: str
    turn: Turn
    source: Items
    camera_at: datetime | None
    reason: str = ""
    raw: str = ""


@dataclass(slots=True)
class _State:
    topic: Topic
    rule: str
    is_on: bool
    is_told: bool
    touched_mono_s: float
    said_mono_s: float
    source: Items
    raw: str
    tells_end: bool = False  # the camera has said once that it does not hold


class CameraStates:
    """The states of one camera."""

    def __init__(self, bells: frozenset[str] = frozenset()) -> None:
        """`bells`: tokens of digital inputs that are emergency bells; "*" for all of them."""
        self._bells = bells
        self._states: OrderedDict[tuple[str, Items], _State] = OrderedDict()
        self._last: OrderedDict[tuple[str, Items], Notification] = OrderedDict()
        self.unknown: Counter[str] = Counter()
        self.messages_total = self.doubled_total = 0

    def take(self, message: Notification, now_mono_s: float) -> CameraHit | None:
        """Return what a message means, None when it changes nothing."""
        self.messages_total += 1
        if self._is_doubled(message):
            self.doubled_total += 1
            return None
        topic = find(message.topic)
        if topic is None:
            topic = self._unknown(message)
        holds = _holds(topic, message)
        key = (message.topic, message.source)
        state = self._states.get(key)
        if state is None:
            # Of an input a first "false" is kept, too: the wire of a normally-closed bell is cut.
            is_input = topic.meaning == "input" and message.operation is not Operation.DELETED
            if not (holds or is_input or message.operation is Operation.INITIALIZED):
                return None
            state = self._new_state(topic, message, now_mono_s)
            state.is_on = holds and message.operation is Operation.INITIALIZED
            self._states[key] = state
            if len(self._states) > _MOST_STATES:
                self._states.popitem(last=False)
        state.tells_end = state.tells_end or not holds
        if state.tells_end or message.operation is not Operation.INITIALIZED:
            state.touched_mono_s = now_mono_s  # else it may say so for ever when it is asked
        if message.operation is Operation.INITIALIZED:
            return self._initialized(state, message, now_mono_s, holds=holds)
        return self._turn(state, message, now_mono_s, holds=holds)

    def tick(self, now_mono_s: float) -> tuple[CameraHit, ...]:
        """Say what still holds, and end what its time is over for, told or not."""
        hits = []
        for state in self._states.values():
            if not state.is_on:
                continue
            was_told, hold_s = state.is_told, state.topic.hold_s
            if hold_s and now_mono_s - state.touched_mono_s >= hold_s:
                ended = self._end(state, "timed-out" if state.topic.state else "over")
                hits += [ended] if was_told else []
            elif was_told and now_mono_s - state.said_mono_s >= SAY_AGAIN_S:
                state.said_mono_s = now_mono_s
                hits.append(_hit(state, Turn.GOES_ON))
        return tuple(hits)

    def lost(self) -> tuple[CameraHit, ...]:
        """The camera is away: end what was told, because nobody knows any more."""
        told = [state for state in self._states.values() if state.is_told]
        return tuple(self._end(state, "camera-lost") for state in told)

    def input_of(self, message: Notification) -> tuple[str, bool] | None:
        """Return the token and level of the digital input that a message, just taken, is about."""
        state = self._states.get((message.topic, message.source))
        if state is None or not state.source or state.topic.meaning not in ("input", "bell"):
            return None
        return state.source[-1][1], state.is_on

    def _initialized(
        self, state: _State, message: Notification, now_mono_s: float, *, holds: bool
    ) -> CameraHit | None:
        if state.tells_end or not state.topic.hold_s:
            state.is_on = holds
        if state.is_told and not holds:
            return self._end(state, "over")
        if state.is_told:
            state.said_mono_s = now_mono_s
            return _hit(state, Turn.GOES_ON, message.camera_at)
        return None

    def _turn(
        self, state: _State, message: Notification, now_mono_s: float, *, holds: bool
    ) -> CameraHit | None:
        was_on, state.is_on = state.is_on, holds
        if not holds:
            return self._end(state, "over", message.camera_at) if state.is_told else None
        if state.is_told or not state.topic.kind:
            return None
        if was_on and state.topic.state:
            return None  # it held already when we came: told as state, so it is no news
        state.is_told, state.said_mono_s = True, now_mono_s
        return _hit(state, Turn.BEGAN, message.camera_at)

    def _end(self, state: _State, reason: str, at: datetime | None = None) -> CameraHit:
        state.is_told = state.is_on = False
        return _hit(state, Turn.ENDED, at, reason)

    def _new_state(self, topic: Topic, message: Notification, now_mono_s: float) -> _State:
        source = message.source[-1][1] if message.source else ""
        is_bell = topic.meaning == "input" and bool(self._bells & {source, "*"})
        if is_bell:
            topic = Topic(
                topic=topic.topic,
                meaning="bell",
                kind="emergency-bell",
                state=topic.state,
                hold_s=topic.hold_s,
            )
        return _State(
            topic=topic,
            rule=rule_of(topic.meaning, message.topic if topic.meaning == UNKNOWN else source),
            is_on=False,
            is_told=False,
            touched_mono_s=now_mono_s,
            said_mono_s=now_mono_s,
            source=message.source,
            raw=_raw(message),
        )

    def _unknown(self, message: Notification) -> Topic:
        if message.topic in self.unknown or len(self.unknown) < _MOST_STATES:
            self.unknown[message.topic] += 1
        else:
            self.unknown["…"] += 1
        return Topic(
            topic=message.topic,
            meaning=UNKNOWN,
            kind="camera-analytics",
            state="State",
            hold_s=UNKNOWN_HOLD_S,
        )

    def _is_doubled(self, message: Notification) -> bool:
        """Say whether just this was its last word; without a time of its own nothing is the same.

        Only the last one counts: a press, its end and the next press may share a camera's second,
        and a camera's clock may stand still.
        """
        key = (message.topic, message.source)
        last = self._last.pop(key, None)
        self._last[key] = message
        if len(self._last) > _MOST_SEEN:
            self._last.popitem(last=False)
        has_time = message.camera_at is not None and message.operation is not Operation.INITIALIZED
        return has_time and message == last


def _holds(topic: Topic, message: Notification) -> bool:
    if message.operation is Operation.DELETED:
        return False
    if not topic.state:
        return message.operation is not Operation.INITIALIZED
    told = is_true(message.value(topic.state))
    if told is None:  # firmware that names it otherwise
        for name, value in message.data:
            if name.lower() in _TRUE_WORDS or name.lower().startswith("is"):
                told = is_true(value)
    if told is None and topic.meaning == UNKNOWN:
        return message.operation is not Operation.INITIALIZED
    return bool(told)


def _hit(
    state: _State, turn: Turn, camera_at: datetime | None = None, reason: str = ""
) -> CameraHit:
    topic = state.topic
    return CameraHit(
        state.rule, topic.meaning, topic.kind, turn, state.source, camera_at, reason, state.raw
    )


def rule_of(meaning: str, source: str) -> str:
    """Return the slug by which a state of the camera is known."""
    return _NO_SLUG.sub("-", f"{meaning}-{source}".lower()).strip("-")[:32].strip("-")


def _raw(message: Notification) -> str:
    items = ", ".join(f"{name}={value}" for name, value in message.source + message.data)
    return f"{message.topic} ({items})"[:512]
