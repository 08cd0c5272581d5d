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
        return _opened(connection, key, now - HOUR) >= most

    def _is_weather(self, connection: sqlite3.Connection, family: str, now: datetime) -> bool:
        if self.settings.weather != "auto":
            self.weather_until = None
            return self.settings.weather == "on"
        lately = _opened(connection, f"rule/%/{family}", now - WEATHER_LOOK)
        if lately >= self.settings.weather_alarms:
            self.weather_until = now + WEATHER_LASTS
        if self.weather_until is not None and now >= self.weather_until:
            self.weather_until = None
        return self.weather_until is not None


def _opened(connection: sqlite3.Connection, key_like: str, since: datetime) -> int:
    row = connection.execute(
        "SELECT COUNT(*) FROM incidents WHERE key LIKE ? AND started_utc_us > ?",
        (key_like, round(since.timestamp() * 1e6)),
    ).fetchone()
    return int(row[0])
