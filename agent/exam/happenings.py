"""What should have been told, what was told, and how the two fit: F1 for each behaviour.

An alarm is right from two seconds before the truth begins to ten seconds after, as the Korean
certification counts; each truth is found once, every further alarm is false.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msgspec import Struct

EARLY_S, LATE_S = 2.0, 10.0
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class TrueEvent:
    """Something that happens in a clip, in seconds of it. `end_s` None: at once, or not told.

    `is_fact`: it is what can be seen; a rule with a dwell time is to tell it that much later.
    """

    behaviour: str
    start_s: float
    end_s: float | None = None
    rule_id: str = ""
    detail: str = ""
    is_fact: bool = False


@dataclass(slots=True)
class Alarm:
    """Something the box raised, in seconds of the clip."""

    behaviour: str
    rule_id: str
    at_s: float
    end_s: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The events and alarms of one behaviour in one clip, and which of them belong together."""

    behaviour: str
    found: tuple[tuple[TrueEvent, Alarm], ...]
    missed: tuple[TrueEvent, ...]
    false: tuple[Alarm, ...]


class BehaviourScore(Struct, frozen=True, kw_only=True):
    """Counts, and percent. `late_s`: how long after the truth the alarm came, mean."""

    truths: int
    found: int
    missed: int
    false: int
    precision: float
    recall: float
    f1: float
    late_s: float | None = None


class QuietScore(Struct, frozen=True, kw_only=True):
    """Time in which nothing should be told, and what was. `at_most_per_camera_day`: with 95 %."""

    seconds: float
    false_alarms: int
    per_camera_day: float
    at_most_per_camera_day: float


def judge(behaviour: str, truths: Iterable[TrueEvent], alarms: Iterable[Alarm]) -> Verdict:
    """Pair each truth, in the order of time, with the first free alarm in its window."""
    free = sorted(alarms, key=lambda one: one.at_s)
    found: list[tuple[TrueEvent, Alarm]] = []
    missed: list[TrueEvent] = []
    for event in sorted(truths, key=lambda one: one.start_s):
        right = next((one for one in free if _fits(event, one)), None)
        if right is None:
            missed.append(event)
        else:
            free.remove(right)
            found.append((event, right))
    return Verdict(behaviour, tuple(found), tuple(missed), tuple(free))


def _fits(event: TrueEvent, alarm: Alarm) -> bool:
    is_same = not event.rule_id or event.rule_id == alarm.rule_id
    return is_same and event.start_s - EARLY_S <= alarm.at_s <= event.start_s + LATE_S


def score(verdicts: Sequence[Verdict]) -> BehaviourScore:
    """Count the verdicts of one behaviour over several clips."""
    found = sum(len(one.found) for one in verdicts)
    missed = sum(len(one.missed) for one in verdicts)
    false = sum(len(one.false) for one in verdicts)
    late = [alarm.at_s - event.start_s for one in verdicts for event, alarm in one.found]
    whole = found + missed
    return BehaviourScore(
        truths=whole,
        found=found,
        missed=missed,
        false=false,
        precision=_percent(found, found + false),
        recall=_percent(found, whole),
        f1=_percent(2 * found, 2 * found + missed + false),
        late_s=round(sum(late) / len(late), 2) if late else None,
    )


def by_behaviour(verdicts: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    """Sort verdicts by what they are about."""
    sorted_: dict[str, list[Verdict]] = defaultdict(list)
    for one in verdicts:
        sorted_[one.behaviour].append(one)
    return dict(sorted(sorted_.items()))


def quiet_score(
    clips: Iterable[tuple[float, Sequence[TrueEvent], Sequence[Verdict]]],
) -> QuietScore:
    """Count false alarms in the time in which nothing happens, window and all left out.

    `clips`: seconds, all its truths, and its verdicts. The bound is Poisson's, so that a short
    quiet time is not taken for a proof.
    """
    seconds, alarms = 0.0, 0
    for duration_s, truths, verdicts in clips:
        busy = [
            (event.start_s - EARLY_S, max(event.start_s + LATE_S, event.end_s or 0.0))
            for event in truths
        ]
        seconds += _outside(busy, duration_s)
        alarms += sum(
            not any(begin <= alarm.at_s <= end for begin, end in busy)
            for verdict in verdicts
            for alarm in verdict.false
        )
    days = max(seconds, 1e-9) / DAY_S
    return QuietScore(
        seconds=round(seconds, 1),
        false_alarms=alarms,
        per_camera_day=round(alarms / days, 2) if seconds else 0.0,
        at_most_per_camera_day=round(_most(alarms) / days, 2) if seconds else 0.0,
    )


def _outside(spans: Sequence[tuple[float, float]], duration_s: float) -> float:
    """Return how many seconds of [0, duration] lie in none of the spans."""
    quiet_s, at_s = 0.0, 0.0
    for begin, end in sorted(spans):
        quiet_s += max(0.0, min(begin, duration_s) - at_s)
        at_s = max(at_s, end)
    return quiet_s + max(0.0, duration_s - at_s)


def _most(count: int) -> float:
    """Return the 95 % upper bound of a Poisson mean of which `count` were seen (approximately)."""
    if count == 0:
        return 3.0
    more = count + 1.0
    return float(more * (1 - 1 / (9 * more) + 1.645 / (3 * math.sqrt(more))) ** 3)


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 100.0
