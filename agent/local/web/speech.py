"""How the page writes words, times, ages and amounts, in one language; for its templates.

The browser's modules write the same in `static/words.js` where only they know the value.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from markupsafe import Markup, escape

from agent.health.catalogue.reasons import reason_of
from agent.local.web.words import Words

_PLACE: Final = re.compile(r"\{(\w+)\}")
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class Speech:
    """`language` is "en" or "ko"."""

    language: str
    words: Words

    def say(self, key: str, **values: object) -> str:
        """Return the words for `key`, with `{name}` replaced by values (markup stays markup)."""
        text = self.words.get(key, key)
        if any(isinstance(value, Markup) for value in values.values()):
            return escape(text).format(**values)
        return _PLACE.sub(lambda place: str(values.get(place[1], "?")), text)

    def code(self, prefix: str, code: object) -> str:
        """Return the words for `prefix.code`, or the bare code when there are none yet."""
        return self.words.get(f"{prefix}.{code}", str(code))

    def reason(self, text: str) -> str:
        """Return why something is so, in the reader's language where that is known."""
        reason = reason_of(text)
        return reason.ko if self.language == "ko" else reason.en

    def answer(self, prefix: str, is_so: bool | None) -> str:
        """Return the words for yes, no, or nobody knows."""
        return self.words[f"{prefix}.{'unknown' if is_so is None else str(is_so).lower()}"]

    def known(self, value: Any, text: Callable[[Any], str] = str) -> str:
        """Return "unknown" for None, else `text(value)`."""
        return self.words["unknown"] if value is None else text(value)

    def duration(self, seconds: float) -> str:
        """Return a length of time in its two largest units."""
        s = max(0, round(seconds))
        if s < 60:
            return self.say("seconds", s=s)
        if s < 3600:
            key = "minutes-only" if s >= 600 else "minutes"
            return self.say(key, m=s // 60, s=s % 60)
        if s < 86400:
            return self.say("hours", h=s // 3600, m=s % 3600 // 60)
        return self.say("days", d=s // 86400, h=s % 86400 // 3600)

    def amount(self, n_bytes: float) -> str:
        """Return bytes for people."""
        unit = 0
        while n_bytes >= 1000 and unit < len(_UNITS) - 1:
            n_bytes, unit = n_bytes / 1000, unit + 1
        return f"{n_bytes:.{1 if n_bytes < 10 and unit else 0}f} {_UNITS[unit]}"

    def millis(self, ms: float) -> str:
        """Return milliseconds for people."""
        return f"{ms:.0f} ms" if ms < 10_000 else self.duration(ms / 1000)

    def spoken(self, told: Any, name: str) -> str:
        """Return a field that comes in both languages."""
        text: str = getattr(told, f"{name}_{self.language}")
        return text

    def clock(self, at: datetime) -> Markup:
        """Return a time of day: UTC, until `local_time.js` makes it the reader's own."""
        return Markup('<time datetime="{}">{} UTC</time>').format(at.isoformat(), f"{at:%H:%M:%S}")
