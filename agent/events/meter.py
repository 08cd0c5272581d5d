"""How many alarms each camera raised in the last 24 hours, and what became of them."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.events.alarms import KEY, LIMITED
from agent.events.happening import LOWERED
from agent.events.rations import SLACK

DAY = timedelta(days=1)


@dataclass(slots=True)
class AlarmCount:
    """One camera's last 24 hours. `judged_*` are verdicts on alarms of these hours."""

    raised: int = 0
    lowered: int = 0
    limited: int = 0
    judged_true: int = 0
    judged_false: int = 0
    shadow: int = 0


def count(connection: sqlite3.Connection, now: datetime) -> dict[str, AlarmCount]:
    """Return the counts of every camera that had any."""
    since_us, until_us = (round(at.timestamp() * 1e6) for at in (now - DAY, now + SLACK))
    counts: dict[str, AlarmCount] = {}
    rows = connection.execute(
        "SELECT subject, key, is_true FROM incidents LEFT JOIN verdicts USING (event_id)"
        " WHERE key LIKE ? || '%' AND started_utc_us >= ? AND started_utc_us <= ?",
        (KEY, since_us, until_us),
    )
    for subject, key, is_true in rows:
        one = counts.setdefault(subject, AlarmCount())
        if key.endswith(LOWERED):
            one.lowered += 1
        elif key.endswith(LIMITED):
            one.limited += 1
        else:
            one.raised += 1
        one.judged_true += is_true == 1
        one.judged_false += is_true == 0
    shadows = connection.execute(
        "SELECT camera_id, COUNT(*) FROM shadow_alarms"
        " WHERE began_utc_us >= ? AND began_utc_us <= ? GROUP BY camera_id",
        (since_us, until_us),
    )
    for camera_id, number in shadows:
        counts.setdefault(camera_id, AlarmCount()).shadow = number
    return counts
