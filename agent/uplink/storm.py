"""Whether a storm is on: the center says so, or the queue grows although it is being sent.

It always ends by itself: at the time the center named (an hour at most), or a minute after the
queue last grew. A long queue that shrinks, as after days offline, is none.
"""

from datetime import datetime

MOST_S = 3600.0
_MANY = 200
_TIMES = 3
_CALM_S = 60.0
_UNSURE_S = 600.0


class Storm:
    """Told what the center says and how the queue does; times are monotonic seconds."""

    def __init__(self) -> None:
        self._told_until_s = self._grows_until_s = 0.0
        self._waiting = self._grown = 0

    def is_on(self, now_s: float) -> bool:
        """Say whether it lasts."""
        return now_s < max(self._told_until_s, self._grows_until_s)

    def told(self, until: datetime | None, now: datetime, now_s: float, *, sure: bool) -> None:
        """Take the center's word; with an unproven clock it holds for ten minutes."""
        left_s = 0.0 if until is None else (until - now).total_seconds()
        if until is not None and not sure:
            left_s = _UNSURE_S
        self._told_until_s = now_s + min(max(0.0, left_s), MOST_S)

    def saw(self, waiting: int, now_s: float, *, is_sending: bool) -> None:
        """Take the length of the queue, every few seconds."""
        grows = is_sending and waiting >= _MANY and waiting > self._waiting
        self._grown = self._grown + 1 if grows else 0
        self._waiting = waiting
        if self._grown >= _TIMES:
            self._grows_until_s = now_s + _CALM_S
