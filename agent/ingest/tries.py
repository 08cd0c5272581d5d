"""How long a try to open a stream may take, and when a refused login may be tried again."""

from __future__ import annotations

from agent.core.clock import Clock
from agent.ingest.source import Patience, StreamAddress

# A camera that once opened quickly is not waited for long: it may be well again a moment later.
OPEN_TIMEOUT_S, QUICK_OPEN_S, LONG_TRY_EVERY_S = 10.0, 1.5, 120.0
# A refused password is not tried again soon, for cameras lock themselves. One that was good before
# is tried once more: a camera that starts up refuses everybody for a moment.
LOGIN_RETRY_S, LOGIN_RETRY_CAP_S, GOOD_LOGIN_RETRY_S = 300.0, 3600.0, 5.0


class OpenPatience:
    """Learns how long this camera takes to open its stream."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slowest_s: float | None = None
        self._long_try_mono_s = clock.monotonic_s()

    def for_next_try(self, stall_s: float) -> Patience:
        """Return how long the next try may take. Now and then one is long: it may have slowed."""
        now_s = self._clock.monotonic_s()
        if self._slowest_s is None:
            return Patience(OPEN_TIMEOUT_S, stall_s)
        if now_s - self._long_try_mono_s > LONG_TRY_EVERY_S:
            self._long_try_mono_s = now_s
            return Patience(OPEN_TIMEOUT_S, stall_s, is_known=True)
        open_s = min(OPEN_TIMEOUT_S, max(QUICK_OPEN_S, 4 * self._slowest_s))
        return Patience(open_s, stall_s, is_known=True)

    def opened_in(self, seconds: float) -> None:
        """Note a success."""
        self._slowest_s = max(seconds, self._slowest_s or 0.0)
        self._long_try_mono_s = self._clock.monotonic_s()


class LoginRetry:
    """Spaces out tries with a login that the camera refused."""

    def __init__(self) -> None:
        self._good: StreamAddress | None = None
        self._refused: StreamAddress | None = None
        self._delay_s = LOGIN_RETRY_S

    def worked(self, address: StreamAddress) -> None:
        self._good, self._refused, self._delay_s = address, None, LOGIN_RETRY_S

    def refused(self, address: StreamAddress) -> float:
        """Return how long to leave the camera alone with this login."""
        is_first = self._refused != address
        self._refused = address
        if is_first:
            self._delay_s = LOGIN_RETRY_S
            if self._good == address:
                return GOOD_LOGIN_RETRY_S
        delay_s = self._delay_s
        self._delay_s = min(LOGIN_RETRY_CAP_S, delay_s * 2)
        return delay_s
