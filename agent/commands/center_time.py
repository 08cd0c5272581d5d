"""How far the box's clock stands from the center's, as the center's signed orders tell it.

An order bears the second in which it was signed. On its way it only grows older, so of the last few
the freshest comes nearest; it is never taken as the time itself, for that is NTP's.
"""

from collections import deque

from agent.core.clock import Clock

_ORDERS, _FRESH_S = 8, 86_400.0


class CenterTime:
    """Told of each order whose signature is good."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard: deque[tuple[float, float]] = deque(maxlen=_ORDERS)

    def heard(self, signed_s: float) -> None:
        """Take the Unix time at which an order was signed."""
        ahead_s = self._clock.utc_now().timestamp() - signed_s
        self._heard.append((self._clock.monotonic_s(), ahead_s))

    @property
    def ahead_s(self) -> float | None:
        """How far the box is ahead, by today's freshest order; None before two have come."""
        now_s = self._clock.monotonic_s()
        told = [ahead_s for at_s, ahead_s in tuple(self._heard) if now_s - at_s < _FRESH_S]
        return min(told) if len(told) > 1 else None
