"""A camera's second stream: open for good where it is looked at or kept, else while it is shown.

Camera worker. A camera that is only recorded costs one session; while somebody may see its second
stream live it costs two, and one again afterwards.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from agent.app.child import guarded_thread
from agent.ingest.session import IngestSession
from agent.messages.worker import CameraState, StreamStatus

Make = Callable[[threading.Event], IngestSession]


class SubStream:
    """`make` makes a session that ends with the event it is given."""

    def __init__(self, make: Make, stop: threading.Event, *, is_permanent: bool) -> None:
        self._make, self._stop, self.is_permanent = make, stop, is_permanent
        self._lock = threading.Lock()
        self._session: IngestSession | None = None
        self._end = stop
        self._thread: threading.Thread | None = None

    def begin(self) -> list[threading.Thread]:
        """Open it if it is open for good; return the thread whose death is the worker's."""
        if not self.is_permanent:
            return []
        self._session = self._make(self._stop)
        return [guarded_thread("sub", self._session.run)]

    def follow(self, *, wanted: bool) -> None:
        """Open or close it as somebody wants to see it or not. May be called from any thread.

        A worker that ends opens nothing any more.
        """
        with self._lock:
            wanted = wanted and not self._stop.is_set()
            if self.is_permanent or wanted == (self._session is not None):
                return
            if not wanted:
                self._end.set()
                self._session = None
            elif self._thread is None or not self._thread.is_alive():  # one sink: one at a time
                self._end = threading.Event()
                self._session = self._make(self._end)
                self._thread = guarded_thread("sub", self._session.run)

    def close(self) -> None:
        """Close what was opened to be shown."""
        self.follow(wanted=False)
        if self._thread is not None:
            self._thread.join()

    def restart(self) -> None:
        """Connect anew, if it is open."""
        session = self._session
        if session is not None:
            session.restart()

    @property
    def status(self) -> StreamStatus | None:
        """How it does; None while it is not open, or is being opened to be shown."""
        session = self._session
        if session is None:
            return None
        status = session.status
        is_opening = status.state is CameraState.CONNECTING and not self.is_permanent
        return None if is_opening else status

    def ages_s(self, now_s: float) -> dict[str, float]:
        """Return the time since it made progress, by its name; nothing while it is not open."""
        session = self._session
        return {} if session is None else {"sub": now_s - session.last_progress_mono_s}
