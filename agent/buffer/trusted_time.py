"""The time by which what is kept may be called old: never later than what is known for sure.

A wall clock may jump, and a clock chip may be years off when a box boots. Video that is deleted for
its age is gone; video that is kept too long goes as soon as the time is proven.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import Connection, DatabaseError
from typing import TypeVar

from agent.buffer.index import INDEX_FILE
from agent.buffer.recording_clock import PROVEN, newest_offset_s
from agent.buffer.timekeeper import Timekeeper
from agent.contract.events import TimeQuality
from agent.core.clock import Clock
from agent.core.errors import StorageError
from agent.core.sqlite import open_reader

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def trusted_now(
    db: Connection, folder: Path, clock: Clock, boot_id: str, box: Timekeeper | None = None
) -> datetime | None:
    """Return the time by which what is kept may be called old; None while there is none to trust.

    Never later than the time that recordings of this boot carry, those of other cameras where this
    one has none: a wall clock that jumps ahead deletes nothing until they follow it. Without any,
    `box` watches the wall clock as recordings would. Until the time is proven in this boot, no more
    has passed than the box has run since the last recording before it.
    """
    if box is not None:
        box.look()
    quality = clock.quality()
    if quality is TimeQuality.UNSYNCED:
        return None
    now, mono_s = clock.utc_now(), clock.monotonic_s()
    is_proven, offset_s = _boxes_offset_s(db, folder, boot_id)
    if offset_s is not None:
        now = min(now, _EPOCH + timedelta(seconds=mono_s + offset_s))
    elif box is not None:
        is_proven, now = box.proven_offset_s is not None, min(now, box.utc(mono_s))
    if is_proven or quality is TimeQuality.NTP:
        return now
    ran_until_s = max(_each(db, folder, lambda one: _ran_until_s(one, boot_id)), default=None)
    return (
        now if ran_until_s is None else min(now, _EPOCH + timedelta(seconds=ran_until_s + mono_s))
    )


def _boxes_offset_s(db: Connection, folder: Path, boot_id: str) -> tuple[bool, float | None]:
    """Return UTC minus monotonic of recordings: what is proven first, then what is the camera's.

    And whether it is proven.
    """
    own = newest_offset_s(db, boot_id)
    if own is not None and own[0]:
        return own
    found = list(_each(db, folder, lambda one: newest_offset_s(one, boot_id)))
    proven = [offset_s for is_proven, offset_s in found if is_proven]
    if proven or own is None:
        return bool(proven), min(proven or [offset_s for _, offset_s in found], default=None)
    return own


def _ran_until_s(db: Connection, boot_id: str) -> float | None:
    """Return the UTC, in seconds, up to which the box has run before this boot, as far as known.

    That is where the last video of a proven time ends, and how long later boots lasted; without
    any, where the last video of another boot ends. What passed while it was off is not counted.
    """
    query = (
        "SELECT segment_id, boot_id, start_utc_us + duration_us FROM segments s"
        " JOIN runs USING (run_id) WHERE boot_id != ?"
    )
    newest = " ORDER BY segment_id DESC LIMIT 1"
    last = (
        db.execute(f"{query} AND s.time_quality IN (?,?,?){newest}", (boot_id, *PROVEN)).fetchone()
        or db.execute(query + newest, (boot_id,)).fetchone()
    )
    if last is None:
        return None
    lasted_us = db.execute(
        "SELECT coalesce(sum(until_us), 0) FROM (SELECT max(start_mono_us + duration_us) until_us"
        " FROM segments JOIN runs USING (run_id) WHERE segment_id > ? AND boot_id NOT IN (?, ?)"
        " GROUP BY boot_id)",
        (last[0], last[1], boot_id),
    ).fetchone()[0]
    return float(last[2] + lasted_us) / 1e6


def _each(db: Connection, folder: Path, ask: Callable[[Connection], T | None]) -> Iterator[T]:
    """Ask the index of this camera and those of the others."""
    if (answer := ask(db)) is not None:
        yield answer
    for index_file in folder.parent.glob(f"*/{INDEX_FILE}"):
        if index_file.parent.name == folder.name:
            continue
        with suppress(StorageError, DatabaseError), closing(open_reader(index_file)) as other:
            if (answer := ask(other)) is not None:
                yield answer
