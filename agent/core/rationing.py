"""When a file may go over the line: the daily window and the day's budget of bytes. Pure; UTC.

The window is UTC because the box's data is: "17:00-21:00" is 02:00-06:00 in Korea. It may pass
midnight. A clock that is not proven closes no window. An alarm's file ignores the window; the
budget, which is money, binds every file.
"""

from datetime import UTC, datetime, time, timedelta

URGENT_PRIORITY = 7  # files of orders from this priority on are an alarm's


def is_open(window: str, now: datetime) -> bool:
    """Say whether `now` lies in `window` ("HH:MM-HH:MM", empty: always)."""
    if not window:
        return True
    begin, end = (time.fromisoformat(text) for text in window.split("-"))
    at = now.astimezone(UTC).time()
    return begin <= at < end if begin <= end else at >= begin or at < end


def opens_in_s(window: str, now: datetime) -> float:
    """Return the seconds until a closed `window` opens."""
    begin = time.fromisoformat(window.partition("-")[0])
    at = datetime.combine(now.astimezone(UTC).date(), begin, UTC)
    wait_s = (at - now).total_seconds()
    return wait_s if wait_s > 0 else wait_s + 86_400


def day_of(now: datetime) -> str:
    """Return the day that bytes sent now are counted on."""
    return now.astimezone(UTC).date().isoformat()


def next_day_in_s(now: datetime) -> float:
    """Return the seconds until the budget is whole again."""
    tomorrow = now.astimezone(UTC).date() + timedelta(days=1)
    return (datetime.combine(tomorrow, time(), UTC) - now).total_seconds()
