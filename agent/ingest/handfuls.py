"""Reads a stream in handfuls while nobody waits for it: few wake-ups, each with warm caches.

A frame that comes alone costs the box nearly twice what it costs in a handful: the code that
receives and stores it has left the processor's caches in between.
"""

import threading
from collections.abc import Callable

from agent.core.clock import Clock, wait_s

_START_S = 1.0  # how fast it comes is not known yet, and a new viewer may be sent a GOP at once
_DRAIN_S = 0.02  # reading what has gathered takes less
_ROOM_BYTES = 64 * 1024  # what a socket holds before the camera has to wait with the rest


class Handfuls:
    """Lets one connection's packets gather in the socket for up to `longest_s()` (0: not now)."""

    def __init__(self, clock: Clock, stop: threading.Event, longest_s: Callable[[], float]) -> None:
        self._clock, self._stop, self._longest_s = clock, stop, longest_s
        self.begin()

    def begin(self) -> None:
        """A new connection."""
        self._bytes = 0
        self._since_s = self._clock.monotonic_s()
        self._due_s = self._since_s + _START_S

    def took(self, size_bytes: int) -> None:
        """Count a packet; wait when what had gathered is read."""
        self._bytes += size_bytes
        now_s = self._clock.monotonic_s()
        if now_s < self._due_s or not (longest_s := self._longest_s()):
            return
        fills_in_s = _ROOM_BYTES / max(1, self._bytes) * (now_s - self._since_s)
        self._since_s, self._bytes = now_s, 0
        wait_s(self._stop, min(longest_s, fills_in_s))
        self._due_s = self._clock.monotonic_s() + _DRAIN_S
