"""How long to wait before trying again: doubling, capped, and jittered against stampedes."""

import random


class Backoff:
    """Delays `first_s`, 2x, 4x … up to `cap_s`, each spread by up to ±`jitter` of itself."""

    def __init__(self, first_s: float, cap_s: float, *, jitter: float = 0.3) -> None:
        self._first_s, self._cap_s, self._jitter = first_s, cap_s, jitter
        self.failures = 0

    def next_s(self) -> float:
        """Count one failure and return the delay before the next try."""
        delay_s = min(self._cap_s, self._first_s * 2.0 ** min(self.failures, 30))
        self.failures += 1
        return delay_s * random.uniform(1 - self._jitter, 1 + self._jitter)  # noqa: S311

    def reset(self) -> None:
        """Forget all failures: it works again."""
        self.failures = 0
