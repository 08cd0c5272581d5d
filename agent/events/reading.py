"""Reads incidents back for the box's page, the timeline and the report."""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from agent.contract.events import EventData


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident as the box's page shows it. `ended_at` is None while it lasts."""

    event_id: str
    camera_id: str
    kind: str
    rule_id: str | None
    labels: tuple[str, ...]
    detail: str | None
    started_at: datetime
    ended_at: datetime | None
    has_picture: bool
    grade: str | None = None
    rules: tuple[str, ...] = ()

    def rules_of(self, camera_id: str) -> tuple[str, ...]:
        """Return the ids of one camera's rules that take part."""
        pairs = (rule.split("/", 1) for rule in self.rules)
        return tuple(rule_id for camera, rule_id in pairs if camera == camera_id)


def latest(connection: sqlite3.Connection, limit: int) -> list[Incident]:
    """Return the newest incidents first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM incidents ORDER BY started_utc_us DESC LIMIT ?",  # noqa: S608
        (limit,),
    )
    return [_incident(row) for row in rows]


def of_camera(connection: sqlite3.Connection, camera_id: str, since: datetime) -> list[Incident]:
    """Return one camera's incidents that lasted into the time since `since`, oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM incidents WHERE subject = ?"  # noqa: S608
        " AND (ended_utc_us IS NULL OR ended_utc_us > ?) ORDER BY started_utc_us",
        (camera_id, round(since.timestamp() * 1e6)),
    )
    return [_incident(row) for row in rows]


def open_ones(connection: sqlite3.Connection, camera_id: str) -> list[Incident]:
    """Return one camera's incidents that still last."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM incidents WHERE subject = ? AND ended_utc_us IS NULL",  # noqa: S608
        (camera_id,),
    )
    return [_incident(row) for row in rows]


def picture(connection: sqlite3.Connection, event_id: str) -> bytes | None:
    """Return an incident's JPEG, if it has one."""
    row = connection.execute(
        "SELECT picture FROM incidents WHERE event_id = ?", (event_id,)
    ).fetchone()
    return None if row is None else row["picture"]


def camera_of(connection: sqlite3.Connection, event_id: str) -> str | None:
    """Return the camera of an incident; None when it has none, or there is no such incident."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM incidents WHERE event_id = ?",  # noqa: S608 - a constant
        (event_id,),
    ).fetchone()
    return None if row is None else _incident(row).camera_id


_COLUMNS = "event_id, subject, kind, started_utc_us, ended_utc_us, data, picture IS NOT NULL AS has"


def _incident(row: sqlite3.Row) -> Incident:
    ended_us = row["ended_utc_us"]
    data = msgspec.json.decode(row["data"], type=EventData)
    return Incident(
        event_id=row["event_id"],
        camera_id=row["subject"],
        kind=row["kind"],
        rule_id=data.rule_id,
        labels=tuple(sorted({thing.label for thing in data.objects})),
        detail=data.detail,
        started_at=datetime.fromtimestamp(row["started_utc_us"] / 1e6, UTC),
        ended_at=None if ended_us is None else datetime.fromtimestamp(ended_us / 1e6, UTC),
        has_picture=bool(row["has"]),
        grade=None if data.grade is None else data.grade.value,
        rules=data.rules,
    )
