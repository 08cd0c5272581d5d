"""Where people have called alarms false: the same spot, class and time of day is then lowered.

Bounded: an alarm is never silenced, only lowered to a notice; a verdict counts for 30 days, and so
many of a camera are kept. Reversible: another verdict on the same incident takes the place of the
first, "true" weighs against "false", and a camera's map can be cleared. Everything can be listed.
"""

import math
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FALSE_TO_LOWER = 2  # false verdicts more than true ones
REACH = 0.08  # of the frame
AROUND_MIN = 60
LASTS = timedelta(days=30)
KEEP_VERDICTS = 500  # of a camera
_DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True)
class Spot:
    """Where (fraction of the frame), of what class, when in the day (UTC) an alarm began."""

    camera_id: str
    family: str
    x: float
    y: float
    minute: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What somebody said of an incident."""

    event_id: str
    camera_id: str
    family: str
    is_true: bool
    by: str
    at: datetime
    spot: Spot | None


def remember(connection: sqlite3.Connection, event_id: str, spot: Spot) -> None:
    """Keep where an alarm began, in case somebody judges it."""
    connection.execute(
        "INSERT OR IGNORE INTO alarm_spots (event_id, camera_id, family, x, y, minute)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (event_id, spot.camera_id, spot.family, spot.x, spot.y, spot.minute),
    )
    connection.execute(
        "DELETE FROM alarm_spots WHERE event_id NOT IN (SELECT event_id FROM incidents)"
        " AND event_id != ?",
        (event_id,),
    )


def is_lowered(connection: sqlite3.Connection, spot: Spot, now: datetime) -> bool:
    """Say whether an alarm that begins here and now is to be lowered."""
    rows = connection.execute(
        "SELECT * FROM verdicts WHERE camera_id = ? AND family = ? AND at_utc_us >= ?",
        (spot.camera_id, spot.family, _since_us(now)),
    )
    weight = sum(-1 if row["is_true"] else 1 for row in rows if _is_near(row, spot))
    return weight >= FALSE_TO_LOWER


def judge(
    connection: sqlite3.Connection, event_id: str, verdict: bool | None, by: str, now: datetime
) -> bool:
    """Keep what somebody said; None takes it back. Return whether there is such an incident."""
    row = connection.execute("SELECT * FROM alarm_spots WHERE event_id = ?", (event_id,)).fetchone()
    incident = connection.execute(
        "SELECT subject, key FROM incidents WHERE event_id = ?", (event_id,)
    ).fetchone()
    if incident is None:
        return False
    connection.execute("DELETE FROM verdicts WHERE event_id = ?", (event_id,))
    if verdict is None:
        return True
    place = (
        (incident["subject"], incident["key"], None, None, None)
        if row is None
        else (row["camera_id"], row["family"], row["x"], row["y"], row["minute"])
    )
    connection.execute(
        "INSERT INTO verdicts (event_id, at_utc_us, by, is_true, camera_id, family, x, "
        "y, minute)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (event_id, round(now.timestamp() * 1e6), by, verdict, *place),
    )
    connection.execute(
        "DELETE FROM verdicts WHERE camera_id = ? AND rowid <= (SELECT rowid FROM verdicts"
        " WHERE camera_id = ? ORDER BY rowid DESC LIMIT 1 OFFSET ?)",
        (place[0], place[0], KEEP_VERDICTS),
    )
    return True


def clear(connection: sqlite3.Connection, camera_id: str) -> int:
    """Forget all verdicts of a camera; return how many there were."""
    return connection.execute("DELETE FROM verdicts WHERE camera_id = ?", (camera_id,)).rowcount


def listed(connection: sqlite3.Connection, camera_id: str | None, now: datetime) -> list[Verdict]:
    """Return the verdicts that still count, newest first."""
    rows = connection.execute(
        "SELECT * FROM verdicts WHERE (? IS NULL OR camera_id = ?) AND at_utc_us >= ?"
        " ORDER BY at_utc_us DESC",
        (camera_id, camera_id, _since_us(now)),
    )
    return [
        Verdict(
            event_id=row["event_id"],
            camera_id=row["camera_id"],
            family=row["family"],
            is_true=bool(row["is_true"]),
            by=row["by"],
            at=datetime.fromtimestamp(row["at_utc_us"] / 1e6, UTC),
            spot=None
            if row["x"] is None
            else Spot(row["camera_id"], row["family"], row["x"], row["y"], row["minute"]),
        )
        for row in rows
    ]


def _since_us(now: datetime) -> int:
    return round((now - LASTS).timestamp() * 1e6)


def _is_near(row: sqlite3.Row, spot: Spot) -> bool:
    if row["x"] is None:
        return False
    apart_min = abs(row["minute"] - spot.minute)
    is_hour = min(apart_min, _DAY_MIN - apart_min) <= AROUND_MIN
    return is_hour and math.dist((row["x"], row["y"]), (spot.x, spot.y)) <= REACH
