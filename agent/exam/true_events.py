"""What should be raised in a clip: what the truth tells, and what the rules make of true tracks."""

from __future__ import annotations

from msgspec import structs

from agent.exam.expected import ClipFacts
from agent.exam.footage import ClipTruth
from agent.exam.happenings import TrueEvent
from agent.messages.vision import HitState
from agent.rules.rule import build
from agent.settings.model import CameraSettings

ALWAYS = frozenset({"tamper"})  # nobody tampers with a camera unless the truth says so
_BY_TRACKS = frozenset({"intrusion", "loitering", "crowd", "wrong-way", "stopped-vehicle"})


def judged(camera: CameraSettings, truth: ClipTruth) -> set[str]:
    """Return the behaviours whose truth is known here; alarms of others are not counted."""
    kinds = {_kind(rule) for rule in camera.rules}
    facts = truth.expected or ClipFacts()
    if facts.is_complete:
        return kinds
    return kinds & (facts.behaviours | _told_by_tracks(camera, truth) | ALWAYS)


def true_events(camera: CameraSettings, truth: ClipTruth, duration_s: float) -> list[TrueEvent]:
    """Return all that should be raised, in the order of time, inside the clip."""
    facts = truth.expected or ClipFacts()
    events = [_due(event, camera) for event in facts.events]
    by_tracks = _told_by_tracks(camera, truth) - facts.behaviours
    if by_tracks:
        events += _from_tracks(camera, truth, by_tracks, duration_s)
    inside = [one for one in events if one is not None and one.start_s < duration_s]
    return sorted(inside, key=lambda one: one.start_s)


def _told_by_tracks(camera: CameraSettings, truth: ClipTruth) -> set[str]:
    """Return the kinds that can be told from true boxes with identities."""
    if truth.boxes is None or not truth.boxes.has_ids:
        return set()
    labels = truth.boxes.labels
    return {
        _kind(rule)
        for rule in camera.rules
        if _kind(rule) in _BY_TRACKS and labels & set(getattr(rule, "labels", ("person",)))
    }


def _due(event: TrueEvent, camera: CameraSettings) -> TrueEvent | None:
    """Move what can be seen to when the rule is to tell it; None when it is over before."""
    if not event.is_fact:
        return event
    rule = next((one for one in camera.rules if _kind(one) == event.behaviour), None)
    dwell_s = float(getattr(rule, "dwell_s", getattr(rule, "still_s", 0.0)))
    start_s = event.start_s + dwell_s
    if event.end_s is not None and start_s > event.end_s:
        return None
    return TrueEvent(event.behaviour, start_s, event.end_s, event.rule_id, event.detail)


def _from_tracks(
    camera: CameraSettings, truth: ClipTruth, kinds: set[str], duration_s: float
) -> list[TrueEvent]:
    boxes = truth.boxes
    assert boxes is not None  # noqa: S101 - `kinds` is empty otherwise
    own = structs.replace(camera, rules=tuple(r for r in camera.rules if _kind(r) in kinds))
    rules, events = build(own.rules), list[TrueEvent]()
    for number in range(int(duration_s * boxes.fps)):
        at_s = number / boxes.fps
        for rule in rules:
            for change in rule.update(boxes.tracks_at(at_s), at_s):
                if change.state is HitState.BEGAN:
                    events.append(TrueEvent(rule.kind, at_s, rule_id=rule.rule_id))
    return events


def _kind(rule: object) -> str:
    return str(type(rule).__struct_config__.tag)  # type: ignore[attr-defined]
