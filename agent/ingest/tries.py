"""How long a try to open a stream may take."""

from __future__ import annotations

from agent.core.clock import Clock
from agent.ingest.source import Patience

# An unknown camera may be slow, and its first key frame far. One that is known is waited for little
# longer than it ever took: it may be well again a moment later.
OPEN_TIMEOUT_S, OPEN_MARGIN_S, OPEN_CAP_S, LONG_TRY_EVERY_S = 12.0, 0.8, 18.0, 120.0


class OpenPatience:
    """Learns how long this camera takes to open its stream."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slowest_s: float | None = None
        self._key_interval_s = 0.0
        self._long_try_mono_s = clock.monotonic_s()

    def for_next_try(self, stall_s: float) -> Patience:
        """Return how long the next try may take. Now and then one is long: it may have slowed."""
        now_s = self._clock.monotonic_s()
        if self._slowest_s is None:
            return Patience(OPEN_TIMEOUT_S, stall_s)
        if now_s - self._long_try_mono_s > LONG_TRY_EVERY_S:
            self._long_try_mono_s = now_s
            return Patience(OPEN_TIMEOUT_S, stall_s, is_known=True)
        open_s = OPEN_MARGIN_S + max(self._slowest_s, self._key_interval_s)
        return Patience(min(OPEN_CAP_S, open_s), stall_s, is_known=True)

    def opened_in(self, seconds: float) -> None:
        """Note a success."""
        self._slowest_s = max(seconds, self._slowest_s or 0.0)
        self._long_try_mono_s = self._clock.monotonic_s()

    def key_after(self, seconds: float) -> None:
        """Note the time between two key frames: a new viewer may have to wait for the next."""
        self._key_interval_s = max(seconds, self._key_interval_s)
