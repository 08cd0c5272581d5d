"""When a rule is awake: windows of the week in the site's own local time.

`mon-fri 22:00-06:00` belongs to the day on which it begins; `sat,sun 00:00-24:00` is the whole
weekend; without days a window is for every day. Read from settings, asked in the camera worker.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(r"(?:(?P<days>[a-z,-]+) )?(?P<begin>\d\d:\d\d)-(?P<end>\d\d:\d\d)")
_DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True)
class Window:
    """Minutes [begin, end) of these days (0 is Monday); past midnight when `end` <= `begin`."""

    days: frozenset[int]
    begin_min: int
    end_min: int

    def holds(self, local: datetime) -> bool:
        """Say whether the wall time `local` lies in the window."""
        minute = local.hour * 60 + local.minute
        if self.begin_min < self.end_min:
            return local.weekday() in self.days and self.begin_min <= minute < self.end_min
        if minute >= self.begin_min:
            return local.weekday() in self.days
        return minute < self.end_min and (local - timedelta(days=1)).weekday() in self.days


def window(text: str) -> Window:
    """Read one window. Raises `ValueError` that says what is wrong with it."""
    found = _WINDOW.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f"`{text}` is no window; write it like `mon-fri 22:00-06:00`")
    begin_min, end_min = _minute(found["begin"]), _minute(found["end"])
    if begin_min in {end_min, _DAY_MIN}:
        raise ValueError(f"`{text}` is empty; the whole day is `00:00-24:00`")
    return Window(_days(found["days"]), begin_min, end_min)


def is_awake(windows: Sequence[Window], local: datetime) -> bool:
    """Say whether a rule with these windows is awake; one without windows always is."""
    return not windows or any(one.holds(local) for one in windows)


def zone_named(name: str) -> tzinfo:
    """Return a time zone of the IANA list. Raises `ValueError` when the box does not know it."""
    if name == "UTC":  # known even where no list is installed
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"`{name}` is no time zone known here; write it like `Asia/Seoul`") from (
            error
        )


def _minute(text: str) -> int:
    minute = int(text[:2]) * 60 + int(text[3:])
    if int(text[3:]) > 59 or minute > _DAY_MIN:
        raise ValueError(f"`{text}` is no time of the day")
    return minute


def _days(text: str | None) -> frozenset[int]:
    if text is None:
        return frozenset(range(7))
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last and last not in _DAYS):
            raise ValueError(f"`{part}` names no days; they are {', '.join(_DAYS)}")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        days |= {day % 7 for day in range(begin, end + (7 if end < begin else 0) + 1)}
    return frozenset(days)
