"""How much is noted of orders that can't be trusted.

Whoever has the broker may send any number of them. Audit entries are never given up: without a
bound they would take the outbox's room from alarms, and the answers the line.
"""

from collections import deque

from agent.core.clock import Clock

MOST, WITHIN_S = 100, 600.0


class TurnedDown:
    """Counts what was noted lately."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._noted_mono_s: deque[float] = deque(maxlen=MOST)

    def is_noted(self) -> bool:
        """Say whether one more is audited and answered, and count it."""
        now_s, noted = self._clock.monotonic_s(), self._noted_mono_s
        if len(noted) == MOST and now_s - noted[0] < WITHIN_S:
            return False
        noted.append(now_s)
        return True
