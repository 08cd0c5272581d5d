"""Who is the same on several cameras of this box: links between sightings, in the core's `box.db`.

A subject is only an id that links tracks; it knows nothing of who somebody is. Also kept here: how
long the way from one camera to another took, from which the next one's window is learned.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from agent.core.db import Part
from agent.core.ids import new_ulid
from agent.messages.passing import Passing
from agent.sightings.handover import Handover
from agent.sightings.store import Sighting

PART = Part(
    "sighting_links",
    [
        """
CREATE TABLE sighting_links (
    camera_id TEXT NOT NULL, track INTEGER NOT NULL, begin_us INTEGER NOT NULL,
    end_us INTEGER NOT NULL, label TEXT NOT NULL, subject TEXT NOT NULL, certainty REAL NOT NULL,
    PRIMARY KEY (camera_id, track, begin_us)) WITHOUT ROWID;
CREATE INDEX sighting_links_by_subject ON sighting_links (subject, begin_us);
CREATE INDEX sighting_links_by_time ON sighting_links (begin_us);
CREATE TABLE travel_times (
    number INTEGER PRIMARY KEY, from_camera TEXT NOT NULL, to_camera TEXT NOT NULL,
    travel_ms INTEGER NOT NULL);
CREATE INDEX travel_times_by_way ON travel_times (from_camera, to_camera, number);
"""
    ],
)
_TIMES_KEPT = 50


@dataclass(frozen=True, slots=True)
class Link:
    """One sighting is of a subject, as likely as `certainty` (0..1)."""

    camera_id: str
    track_id: int
    begin: datetime
    subject: str
    certainty: float


def keep(connection: sqlite3.Connection, found: Handover) -> tuple[Link, Link]:
    """Link both ends, under the subject that one of them has already; learn the travel time."""
    known = _link_of(connection, found.before) or _link_of(connection, found.after)
    subject = known.subject if known else new_ulid(found.after.begin)
    links = []
    for passing in (found.before, found.after):
        own = _link_of(connection, passing)
        certainty = max(own.certainty, found.certainty) if own else found.certainty
        connection.execute(
            "INSERT OR REPLACE INTO sighting_links (camera_id, track, begin_us, end_us, "
            "label, subject, certainty)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*_key(passing), _micros(passing.last), passing.label, subject, certainty),
        )
        links.append(Link(passing.camera_id, passing.track_id, passing.begin, subject, certainty))
    _learn(connection, found)
    return links[0], links[1]


def withdraw(connection: sqlite3.Connection, found: Handover) -> list[Link]:
    """Take a subject back at all its tracks: a chain is no surer than its links. Return them."""
    known = _link_of(connection, found.after)
    if known is None:
        return []
    rows = connection.execute(
        "DELETE FROM sighting_links WHERE subject = ? RETURNING camera_id, track, begin_us",
        (known.subject,),
    ).fetchall()
    return [
        Link(row[0], row[1], datetime.fromtimestamp(row[2] / 1e6, UTC), known.subject, 0.0)
        for row in rows
    ]


def stretch(connection: sqlite3.Connection, passing: Passing) -> None:
    """Note how long a linked one was seen: parts of a long track are found under one link."""
    connection.execute(
        "UPDATE sighting_links SET end_us = ? WHERE camera_id = ? AND track = ? AND begin_us = ?",
        (_micros(passing.last), *_key(passing)),
    )


def is_there(connection: sqlite3.Connection) -> bool:
    """Say whether a box's database has links."""
    found = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sighting_links'")
    return found.fetchone() is not None


def with_subjects(connection: sqlite3.Connection, found: Sequence[Sighting]) -> list[Sighting]:
    """Return sightings with the subjects they are linked to, by the times they were told with."""
    told = []
    for one in found:
        begin_us = _micros(one.told_begin or one.begin)
        row = connection.execute(
            "SELECT subject, certainty FROM sighting_links WHERE camera_id = ? AND track = ?"
            " AND begin_us <= ? AND end_us >= ? ORDER BY begin_us DESC LIMIT 1",
            (one.camera_id, one.track_id, begin_us, begin_us),
        ).fetchone()
        told.append(one if row is None else replace(one, subject=row[0], subject_certainty=row[1]))
    return told


def begins_of(connection: sqlite3.Connection, subject: str) -> dict[str, tuple[int, ...]]:
    """Return when each track of a subject began (microseconds), by camera."""
    begins: dict[str, tuple[int, ...]] = {}
    for camera_id, begin_us in connection.execute(
        "SELECT camera_id, begin_us FROM sighting_links WHERE subject = ?", (subject,)
    ):
        begins[camera_id] = (*begins.get(camera_id, ()), begin_us)
    return begins


def travel_times(connection: sqlite3.Connection) -> dict[tuple[str, str], list[float]]:
    """Return what was learned, in seconds, by (from, to)."""
    times: dict[tuple[str, str], list[float]] = {}
    for start, to, travel_ms in connection.execute(
        "SELECT from_camera, to_camera, travel_ms FROM travel_times ORDER BY number"
    ):
        times.setdefault((start, to), []).append(travel_ms / 1000)
    return times


def prune(connection: sqlite3.Connection, before: datetime) -> None:
    """Forget links of what is forgotten."""
    connection.execute("DELETE FROM sighting_links WHERE begin_us < ?", (_micros(before),))


def _learn(connection: sqlite3.Connection, found: Handover) -> None:
    way = (found.before.camera_id, found.after.camera_id)
    connection.execute(
        "INSERT INTO travel_times (from_camera, to_camera, travel_ms) VALUES (?, ?, ?)",
        (*way, round(found.travel_s * 1000)),
    )
    connection.execute(
        "DELETE FROM travel_times WHERE from_camera = ? AND to_camera = ? AND number <= ("
        " SELECT number FROM travel_times WHERE from_camera = ? AND to_camera = ?"
        " ORDER BY number DESC LIMIT 1 OFFSET ?)",
        (*way, *way, _TIMES_KEPT),
    )


def _link_of(connection: sqlite3.Connection, passing: Passing) -> Link | None:
    row = connection.execute(
        "SELECT subject, certainty FROM sighting_links"
        " WHERE camera_id = ? AND track = ? AND begin_us = ?",
        _key(passing),
    ).fetchone()
    if row is None:
        return None
    return Link(passing.camera_id, passing.track_id, passing.begin, row[0], row[1])


def _key(passing: Passing) -> tuple[str, int, int]:
    return passing.camera_id, passing.track_id, _micros(passing.begin)


def _micros(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)
