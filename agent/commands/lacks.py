"""What a clip, a film or a showing lacks of the time that was asked for: found, and told."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from agent.buffer.reading import gaps
from agent.clips.holes import DELETED, UNREADABLE, Hole, joined

NOT_GIVEN = frozenset({UNREADABLE, DELETED})  # by the disk; all other causes are of gaps
MOST_TOLD = 150  # in a reply: about half of what it may be


def lacks_of(
    not_given: Iterable[Hole],
    camera_folder: Path,
    stream: str,
    since: datetime,
    until: datetime,
    now: datetime,
) -> tuple[Hole, ...]:
    """Return all that is missing: what the disk did not give, and what was never recorded."""
    until = min(until, now)
    found = [
        Hole(max(one.since, since), min(one.until or until, until), one.cause)
        for one in gaps(camera_folder, since, until, stream)
    ]
    return joined([*not_given, *(one for one in found if one.since < one.until)])


def in_reply(facts: Sequence[dict[str, str]]) -> dict[str, object]:
    """Return what a reply says of them, for which there is little room.

    Of very many the first are in `holes`, before all what the disk did not give; `holes_untold` is
    how many there are besides.
    """
    by_weight = sorted(facts, key=lambda one: one["cause"] not in NOT_GIVEN)
    told = sorted(by_weight[:MOST_TOLD], key=lambda one: one["from"])
    untold = len(facts) - len(told)
    return ({"holes": told} if told else {}) | ({"holes_untold": untold} if untold else {})


def as_facts(lacks: Iterable[Hole]) -> list[dict[str, str]]:
    """Return them as JSON and replies tell them."""
    return [
        {"from": one.since.isoformat(), "to": one.until.isoformat(), "cause": one.cause}
        for one in lacks
    ]
