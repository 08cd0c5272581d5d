"""What a clip lacks of the time that was asked for, and why: the box says it as it hands it out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

UNREADABLE = "unreadable"  # it is on the disk, as far as the index knows, and the disk gave none
DELETED = "deleted"  # between the question and the copy
_SHORT = timedelta(seconds=0.5)  # less is how frames fall


@dataclass(frozen=True, slots=True)
class Hole:
    """A time that a clip lacks. `cause`: unreadable, deleted, or that of a gap in the recording."""

    since: datetime
    until: datetime
    cause: str


def of_source(
    start_at: datetime,
    end_at: datetime | None,
    reached: datetime | None,
    since: datetime,
    until: datetime,
    cause: str = UNREADABLE,
) -> Hole | None:
    """Return what one segment did not give; `reached` is where its last frame that it gave ends.

    Where it ends, not begins: a camera may send one frame in some seconds, or have stood still.
    Without `end_at` (it is being written, or part of a thinned one) nobody knows how far it goes.
    """
    if end_at is None:
        return None
    begin = max(start_at, since) if reached is None else max(reached, since)
    end = min(end_at, until)
    return Hole(begin, end, cause) if end - begin > _SHORT else None


def joined(holes: Iterable[Hole]) -> tuple[Hole, ...]:
    """Return the holes in the order of time, those that touch and have one cause as one."""
    found: list[Hole] = []
    for hole in sorted(holes, key=lambda one: (one.since, one.until)):
        last = found[-1] if found else None
        if last and last.cause == hole.cause and hole.since - last.until <= _SHORT:
            found[-1] = Hole(last.since, max(last.until, hole.until), hole.cause)
        else:
            found.append(hole)
    return tuple(found)
