"""When a camera's worker has to make room for a successor, and how long it waits for one.

It has grown past its bound, or somebody sent it SIGUSR1. It goes on recording until the successor
holds the stream (`agent.app.main_sink`); after `PATIENCE_S` it ends all the same, with a gap that
says so. A worker that grew at once is at fault and ends at once: the supervisor lets it wait.
"""

from collections.abc import Callable
from threading import Event

from agent.app import memory
from agent.app.child import SupervisorLink
from agent.app.main_sink import RECYCLED, MainSink
from agent.app.process import STEADY_S
from agent.core import log
from agent.core.clock import Clock

BEAT_S, CLOSE_BEAT_S = 2.0, 0.1
PATIENCE_S = 45.0  # three key frames of a camera that sends one every ten seconds
ASK_EVERY_S = 2.0
QUIET_WITHIN_S = 60.0  # rules forget whom they were watching: better while there is nobody


class Replacing:
    """Asked once a beat. `is_busy`: somebody is in view."""

    def __init__(
        self,
        max_rss_bytes: int,
        link: SupervisorLink,
        sink: MainSink,
        ordered: Event,
        clock: Clock,
        is_busy: Callable[[], bool],
    ) -> None:
        self._max_rss_bytes, self._link, self._sink = max_rss_bytes, link, sink
        self._ordered, self._clock, self._is_busy = ordered, clock, is_busy
        self._began_s = clock.monotonic_s()
        self._grown_s: float | None = None
        self._asked_s: float | None = None
        self._ask_again_s = 0.0
        self.is_successor_gone = False
        self._log = log.get("camera")

    @property
    def beat_s(self) -> float:
        """How long the worker may wait until it asks again."""
        return BEAT_S if self._asked_s is None else CLOSE_BEAT_S

    def must_end(self) -> bool:
        """Return whether the worker is to end now: its place is taken care of, or time is up."""
        now_s = self._clock.monotonic_s()
        if self._asked_s is not None:
            return self._waited_enough(self._asked_s, now_s)
        if not self._ordered.is_set():
            if not self._has_grown(now_s):
                return False
            if now_s - self._began_s < STEADY_S:
                return self._end_with_a_gap()
            if self._is_busy() and now_s - (self._grown_s or now_s) < QUIET_WITHIN_S:
                return False
        if not self._sink.may_leave:
            return self._end_with_a_gap()
        self._asked_s, self._sink.stop_cause = now_s, RECYCLED
        self._ask(now_s)
        return False

    def _waited_enough(self, asked_s: float, now_s: float) -> bool:
        if self._sink.has_left:
            return True
        if now_s - asked_s > PATIENCE_S:
            self._log.warning("no successor held the stream in time")
            return True
        if self.is_successor_gone and now_s >= self._ask_again_s:
            self.is_successor_gone = False
            self._ask(now_s)
        return False

    def _ask(self, now_s: float) -> None:
        self._ask_again_s = now_s + ASK_EVERY_S
        self._sink.leave()
        self._link.ask_successor()

    def _has_grown(self, now_s: float) -> bool:
        size_bytes = memory.rss_bytes()
        if size_bytes <= self._max_rss_bytes:
            self._grown_s = None
        elif self._grown_s is None:
            self._log.warning("worker has grown, starts anew", rss_bytes=size_bytes)
            self._grown_s = now_s
        return self._grown_s is not None

    def _end_with_a_gap(self) -> bool:
        self._sink.stop_cause = RECYCLED
        return True
