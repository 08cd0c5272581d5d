"""How many incidents of one class at one place are raised in an hour, and what weather does to it.

Rain and snow bring many alike alarms at once. Above the ration further ones are kept together in
one incident; in weather mode the ration is a quarter. What is limited is said, never silently.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.settings.model import AlarmSettings

WEATHER_LOOK, WEATHER_LASTS = timedelta(minutes=10), timedelta(minutes=30)
WEATHER_DIVIDES = 4
HOUR = timedelta(hours=1)
SLACK = timedelta(seconds=5)  # a frame's time and the core's are not read at once


@dataclass(slots=True)
class Rations:
    """Asked before an incident opens. `weather_until` is None while there is no weather mode."""

    settings: AlarmSettings
    weather_until: datetime | None = None

    def is_spent(
        self, connection: sqlite3.Connection, key: str, family: str, now: datetime
    ) -> bool:
        """Say whether an incident of `key` would be one too many."""
        if self._is_weather(connection, family, now):
            most = max(1, self.settings.max_per_hour // WEATHER_DIVIDES)
        else:
            most = self.settings.max_per_hour
        return _opened(connection, key, now - HOUR, now) >= most

    def _is_weather(self, connection: sqlite3.Connection, family: str, now: datetime) -> bool:
        if self.settings.weather != "auto":
            self.weather_until = None
            return self.settings.weather == "on"
        lately = _opened(connection, f"rule/%/{family}", now - WEATHER_LOOK, now)
        if lately >= self.settings.weather_alarms:
            self.weather_until = now + WEATHER_LASTS
        until = self.weather_until
        if until is not None and not now < until <= now + WEATHER_LASTS:  # over, or the clock was
            self.weather_until = None
        return self.weather_until is not None


def _opened(connection: sqlite3.Connection, key_like: str, since: datetime, until: datetime) -> int:
    """Count them; what a clock that was ahead dated in the future is of another time."""
    since_us, until_us = (round(at.timestamp() * 1e6) for at in (since, until + SLACK))
    row = connection.execute(
        "SELECT COUNT(*) FROM incidents"
        " WHERE key LIKE ? AND started_utc_us > ? AND started_utc_us <= ?",
        (key_like, since_us, until_us),
    ).fetchone()
    return int(row[0])
