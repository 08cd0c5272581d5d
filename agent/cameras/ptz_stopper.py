"""The hand on the brake: one thread per camera that does nothing but send Stop.

A Stop asked for by a person and the Stop at the end of every move both come from here, on a
connection of their own, so neither a slow question to the same camera nor a busy event loop can
hold them up. Core process.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future

from agent.cameras.port import CameraClockSkew, CameraControl, CameraWrongPassword
from agent.cameras.surprises import typed
from agent.core.clock import Clock
from agent.core.errors import CameraError
from agent.core.log import get

_RETRY_S = 1.0
_RETRIES = 5
_SLOW_RETRY_S = 10.0  # then, until it is taken: a camera away for a moment may move on for ever
# The login may be put right, and how often it is really tried is the door's business.
_MAY_HELP = (CameraWrongPassword, CameraClockSkew)


class PtzStopper:
    """Sends Stop when asked, and by itself when an armed move is over."""

    def __init__(
        self, control: Callable[[], CameraControl], clock: Clock, after_own_stop: Callable[[], None]
    ) -> None:
        self._control, self._clock, self._after_own_stop = control, clock, after_own_stop
        self._changed = threading.Condition()
        self._waiting: list[Future[None]] = []
        self._due_mono_s: float | None = None
        self._retries_left = _RETRIES
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._log = get("cameras.ptz")
        self.requested_total = 0

    @property
    def is_armed(self) -> bool:
        """Whether a move is under way that must still be stopped."""
        return self._due_mono_s is not None

    @property
    def is_in_vain(self) -> bool:
        """Whether all quick tries failed: the camera is away."""
        return self.is_armed and not self._retries_left

    def arm(self, due_mono_s: float) -> None:
        """Stop at `due_mono_s` unless a newer move moves that on."""
        with self._changed:
            self._due_mono_s, self._retries_left = due_mono_s, _RETRIES
            self._wake()

    def request(self) -> Future[None]:
        """Stop now; the future ends when the camera took the Stop, or with why not."""
        future: Future[None] = Future()
        with self._changed:
            self.requested_total += 1
            self._retries_left = _RETRIES
            self._waiting.append(future)
            self._wake()
        return future

    def close(self) -> None:
        """End the thread; a Stop being sent is sent to its end."""
        with self._changed:
            self._is_closing = True
            self._wake()

    def _wake(self) -> None:
        if self._thread is None and not self._is_closing:
            self._thread = threading.Thread(target=self._run, name="ptz-stopper", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _run(self) -> None:
        while (waiting := self._next()) is not None:
            try:
                typed(lambda: self._control().stop())
            except CameraError as error:
                self._failed(waiting, error)
            else:
                for future in waiting:
                    if future.set_running_or_notify_cancel():
                        future.set_result(None)
                if not waiting:
                    self._after_own_stop()

    def _next(self) -> list[Future[None]] | None:
        """Wait for something to stop; return who waits for it (none: a move is over)."""
        with self._changed:
            while not self._waiting:
                if self._is_closing:
                    return None
                left_s = self._left_s()
                if left_s is not None and left_s <= 0:
                    break
                self._changed.wait(left_s)
            waiting, self._waiting = self._waiting, []
            self._due_mono_s = None
            return waiting

    def _left_s(self) -> float | None:
        due_mono_s = self._due_mono_s
        return None if due_mono_s is None else due_mono_s - self._clock.monotonic_s()

    def _failed(self, waiting: list[Future[None]], error: CameraError) -> None:
        if self._retries_left:
            self._log.warning("stop failed", code=error.code, reason=error.message)
        for future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
        with self._changed:
            may_help = isinstance(error, _MAY_HELP) or error.retryable
            if may_help and self._due_mono_s is None:
                pause_s = _RETRY_S if self._retries_left else _SLOW_RETRY_S
                self._retries_left = max(0, self._retries_left - 1)
                self._due_mono_s = self._clock.monotonic_s() + pause_s
