"""What calls a camera worker's first thread: signals, and what its other threads have news of."""

import queue
import signal
import threading
from contextlib import suppress


class WorkerCalls:
    """`stop`: SIGTERM came, or the worker ends itself; `replace`: SIGUSR1, let a successor come.

    `wake` and the signals end a `wait` at once.
    """

    def __init__(self) -> None:
        self.stop, self.replace = threading.Event(), threading.Event()
        # Not an event: a signal that comes while this thread holds its lock would wait for itself.
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()  # one at most; more say no more

    def catch(self) -> None:
        """Take the process's signals. Ctrl-C goes to all; the supervisor decides."""
        signal.signal(signal.SIGTERM, lambda *_: self.end())
        signal.signal(signal.SIGUSR1, lambda *_: self.make_room())
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def end(self) -> None:
        """Have the worker end."""
        self.stop.set()
        self.wake()

    def make_room(self) -> None:
        """Have the worker let a successor come, and end then."""
        self.replace.set()
        self.wake()

    def wake(self) -> None:
        """Have the first thread look now. May be called from any thread."""
        if self._news.empty():
            self._news.put(None)

    def wait(self, seconds: float) -> None:
        """Return when there is news, or `seconds` are over."""
        with suppress(queue.Empty):
            self._news.get(timeout=max(0.0, seconds))
