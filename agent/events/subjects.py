"""The same one on another camera: incidents that are about him say so, also after their end."""

import sqlite3
from collections.abc import Callable
from datetime import datetime

import msgspec

from agent.contract.events import EventData
from agent.events.alarms import KEY
from agent.events.incidents import Incidents

SubjectOf = Callable[[str, int], tuple[str, float] | None]
"""Of a camera's track: the subject it is linked to, and how likely (0..1)."""


def name(
    connection: sqlite3.Connection,
    incidents: Incidents,
    camera_id: str,
    track_id: int,
    begin: datetime,
    subject: tuple[str, float] | None,
) -> int:
    """Write a track's subject into the incidents it took part in, and tell; None takes it back.

    Incidents that more cameras share are left alone: whose track number it is can't be told there.
    Return how many were changed.
    """
    rows = connection.execute(
        "SELECT * FROM incidents WHERE subject = ? AND key LIKE ? || '%'"
        " AND (ended_utc_us IS NULL OR ended_utc_us >= ?)",
        (camera_id, KEY, round(begin.timestamp() * 1e6)),
    ).fetchall()
    changed = 0
    for row in rows:
        data = msgspec.json.decode(row["data"], type=EventData)
        if any(not rule.startswith(f"{camera_id}/") for rule in data.rules):
            continue
        named = _named(data, track_id, subject)
        if named != data:
            incidents.tell_again(connection, row, named)
            changed += 1
    return changed


def _named(data: EventData, track_id: int, subject: tuple[str, float] | None) -> EventData:
    own, certainty = subject or (None, None)
    objects = tuple(
        msgspec.structs.replace(thing, subject=own, subject_certainty=certainty)
        if thing.track_id == track_id
        else thing
        for thing in data.objects
    )
    return msgspec.structs.replace(data, objects=objects)
