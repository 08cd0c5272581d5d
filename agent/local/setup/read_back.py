"""Seen by the center: the box sends it a code, an operator reads it back, the technician types it.

The code goes out with telemetry and is shown to nobody at the box. Core process, in memory.
"""

import hmac
import secrets
from enum import StrEnum
from typing import Final

from agent.core.clock import Clock

VALID_S: Final = 900.0
_TRIES: Final = 3


class Outcome(StrEnum):
    RIGHT = "right"
    WRONG = "wrong"
    NONE = "none"  # there is no code, or not any more


class ReadBack:
    """One code at a time, for a quarter of an hour and three tries."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._code, self._made_mono_s, self._tries = "", 0.0, 0

    @property
    def code(self) -> str:
        """What the center is to show now; empty: nothing."""
        is_old = self._clock.monotonic_s() - self._made_mono_s > VALID_S
        return "" if is_old else self._code

    def begin(self) -> None:
        """Make a new code."""
        self._code = f"{secrets.randbelow(10_000):04}"
        self._made_mono_s, self._tries = self._clock.monotonic_s(), 0

    def check(self, said: str) -> Outcome:
        """Compare what was read back; a right one, or three wrong ones, end the code."""
        code = self.code
        if not code:
            return Outcome.NONE
        self._tries += 1
        is_right = hmac.compare_digest(said.strip().encode(), code.encode())
        if is_right or self._tries >= _TRIES:
            self._code = ""
        return Outcome.RIGHT if is_right else Outcome.WRONG
