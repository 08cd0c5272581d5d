"""When the link tries again: by itself with full jitter, later when the center or broker asks."""

import random
from dataclasses import dataclass

from agent.core.clock import Clock

_HINT_HOLDS_S = 900.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: a wait of U(0, min(cap, base * 2^n)); the first retry within `first_s`.

    Against a twin with our id, some minutes of up to `twin_s`: two that fight load the broker.
    """

    first_s: float = 5.0  # less, and thousands find a broker dead that takes a second to start
    base_s: float = 5.0
    cap_s: float = 60.0
    stable_s: float = 10.0
    twin_s: float = 300.0

    def wait_s(self, failures: int) -> float:
        """Return how long to wait after so many failures in a row."""
        full_s = self.first_s
        if failures > 1:
            full_s = min(self.cap_s, self.base_s * 2.0 ** min(failures - 1, 16))
        return random.uniform(0.0, full_s)  # noqa: S311  spreads load, guards no secret


class Hint:
    """The center's word that its broker will be away, and after how long to come back.

    It holds for the next loss of the connection, for a quarter of an hour. Boxes come back spread
    over as long again: they were all told the same.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock, self._after_s, self._said_mono_s = clock, 0.0, 0.0

    def said(self, seconds: float | None) -> None:
        """Take the word; None takes it back."""
        self._after_s, self._said_mono_s = seconds or 0.0, self._clock.monotonic_s()

    def wait_s(self) -> float:
        """Return how long to wait now, once; 0: as always."""
        after_s, self._after_s = self._after_s, 0.0
        is_old = self._clock.monotonic_s() - self._said_mono_s > _HINT_HOLDS_S
        return 0.0 if is_old else after_s * random.uniform(1.0, 2.0)  # noqa: S311  spreads load
