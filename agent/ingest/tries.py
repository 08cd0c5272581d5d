"""How long a try to open a stream may take, and when a refused login may be tried again."""

from __future__ import annotations

from agent.core.clock import Clock
from agent.ingest.source import Patience, StreamAddress

# An unknown camera may be slow, and its first key frame far. One that is known is waited for little
# longer than it ever took: it may be well again a moment later.
OPEN_TIMEOUT_S, OPEN_MARGIN_S, OPEN_CAP_S, LONG_TRY_EVERY_S = 12.0, 0.8, 18.0, 120.0
# A refused password is not tried again soon, for cameras lock themselves. One that was good before
# is tried once more: a camera that starts up refuses everybody for a moment.
LOGIN_RETRY_S, LOGIN_RETRY_CAP_S, GOOD_LOGIN_RETRY_S = 300.0, 3600.0, 1.5


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
