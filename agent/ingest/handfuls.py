"""Reads a stream in handfuls while nobody waits for it: few wake-ups, each with warm caches.

A frame that comes alone costs the box nearly twice what it costs in a handful: the code that
receives and stores it has left the processor's caches in between.
"""

from math import nan

from agent.core.clock import Clock
from agent.ingest.source import Pace

_START_S = 1.0  # how fast it comes is not known yet, and a new viewer may be sent a GOP at once
_DRAIN_S = 0.02  # reading what has gathered takes less
# By its media time the next packet comes at its lead: one due later is not waited for but gathers
# with those behind it. Every so many handfuls the guess is put right, for a camera's time may run
# as it likes.
_SOON_S, _MOST_GUESSED = 0.01, 4
_ROOM_BYTES = 64 * 1024  # what a socket holds before the camera has to wait with the rest


class Handfuls:
    """Lets one connection's packets gather in the socket for as long as its pace allows."""

    def __init__(self, clock: Clock, pace: Pace) -> None:
        self._clock, self._pace = clock, pace
        self.begin()

    def begin(self) -> None:
        """A new connection."""
        self._bytes = self._guessed = 0
        self._since_s = self._clock.monotonic_s()
        self._start_over_s = self._drained_s = self._since_s + _START_S
        self._lead_s = self._media_s = nan

    def took(self, size_bytes: int, media_s: float | None) -> None:
        """Count a packet of a media time; wait when what had gathered is read."""
        self._bytes += size_bytes
        now_s, before_s = self._clock.monotonic_s(), self._media_s
        self._media_s = media_s = nan if media_s is None else media_s
        if now_s < self._start_over_s or not self._pace.longest_s():
            self._pace.gather(0.0)  # when the next one comes nobody knows: this one waits for none
            return
        if now_s >= self._drained_s:  # so the last packet was waited for
            self._lead_s, self._guessed = now_s - media_s, 0
        elif self._guessed < _MOST_GUESSED and (
            media_s + (media_s - before_s) + self._lead_s > now_s + _SOON_S
        ):
            self._guessed += 1
        else:
            return
        fills_in_s = _ROOM_BYTES / max(1, self._bytes) * (now_s - self._since_s)
        self._since_s, self._bytes = now_s, 0
        self._pace.gather(fills_in_s)
        self._drained_s = self._clock.monotonic_s() + _DRAIN_S
