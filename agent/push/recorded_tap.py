"""Where a push of recorded video takes its packets from: read as they are due, never ahead.

It is pulled by the push's own thread, so a slow relay is waited for and nothing is left out; what
was not recorded, or can't be read, is skipped and told at the end.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from agent.core.clock import Clock, wait_s
from agent.core.errors import PolesideError
from agent.messages.push import Lack
from agent.push.live_tap import Copied, Run

_HOLE_S, _LATE_S = 2.0, 3.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """A packet of the recording, with the time line it is on and when it was, in seconds."""

    run: Run
    packet: Copied
    at_s: float


@dataclass(frozen=True, slots=True)
class Lacking:
    """What the recording lacks, said once it was read."""

    lacks: tuple[Lack, ...]


class RecordedTap:
    """Both tap and follower of one push. Used by that push's thread alone."""

    stalls = 0

    def __init__(self, packets: Iterator[Recorded | Lacking], clock: Clock) -> None:
        self._packets, self._clock = packets, clock
        self._next: Recorded | None = None
        self._begun_s: float | None = None  # monotonic time at which the recording's second 0 is
        self._last_at_s = 0.0
        self._run: Run | None = None
        self._is_waiting_for_key, self._nobody = True, threading.Event()
        self.is_over, self.code = False, ""
        self.lacks: tuple[Lack, ...] = ()

    @property
    def run(self) -> Run | None:
        """The time line of what comes next; None when all was shown."""
        self._peek()
        return None if self._next is None else self._next.run

    @property
    def run_is_over(self) -> bool:
        """Whether what comes next is on another time line, or nothing."""
        return self.run is not self._run

    def join(self, run: Run, *, lean: bool = False) -> "RecordedTap":  # noqa: ARG002 - as live
        """Go on where it was, from the next key frame."""
        self._run, self._is_waiting_for_key = run, True
        return self

    def leave(self, _: object) -> None:
        """Nobody holds anything."""

    def behind_s(self) -> float:
        """Never: it waits."""
        return 0.0

    def get(self, within_s: float) -> Copied | None:
        """Return the next packet when it is due, None when that is not so within `within_s`."""
        if self.run_is_over or self._next is None:
            return None
        if self._is_waiting_for_key and not self._next.packet.is_key:
            self._next = None
            return None
        if not self._is_due(self._next, within_s):
            return None
        due, self._next, self._is_waiting_for_key = self._next, None, False
        self._last_at_s = due.at_s
        return due.packet

    def _is_due(self, packet: Recorded, within_s: float) -> bool:
        now_s = self._clock.monotonic_s()
        if self._begun_s is not None:
            early_s = self._begun_s + packet.at_s - now_s
            if packet.at_s - self._last_at_s > _HOLE_S or early_s < -_LATE_S:
                self._begun_s = None  # over a hole, or after a stall: from here at its own pace
        if self._begun_s is None:
            self._begun_s = now_s - packet.at_s
        early_s = self._begun_s + packet.at_s - now_s
        if early_s > 0:
            wait_s(self._nobody, min(early_s, within_s))
        return early_s <= within_s

    def _peek(self) -> None:
        if self._next is not None or self.is_over:
            return
        try:
            self._next = self._read()
        except PolesideError as error:
            self.code = error.code
        except Exception:
            self.code, self.is_over = "playback.broke", True
            raise
        self.is_over = self._next is None

    def _read(self) -> Recorded | None:
        for one in self._packets:
            if isinstance(one, Recorded):
                return one
            self.lacks = one.lacks
        return None
