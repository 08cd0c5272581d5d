"""One holder at a time: a lock file that the kernel frees when its holder dies, however it dies."""

import fcntl
import os
import threading
from pathlib import Path
from types import TracebackType

from agent.core.clock import Clock, wait_s
from agent.core.errors import StorageError

POLL_S = 0.1


class FileLock:
    """A context manager. Blocks at most `patience_s`, then raises `StorageError` storage.in_use."""

    def __init__(self, path: Path, clock: Clock, *, patience_s: float = 15.0) -> None:
        self._path, self._clock, self._patience_s = path, clock, patience_s
        self._handle = -1

    def __enter__(self) -> None:
        self.acquire()

    def acquire(self, patience_s: float | None = None) -> None:
        """Take the lock, unless this object has it already; its process's end frees it."""
        if self._handle >= 0:
            return
        patience_s = self._patience_s if patience_s is None else patience_s
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until_s = self._clock.monotonic_s() + patience_s
        nobody = threading.Event()
        while True:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if self._clock.monotonic_s() >= until_s:
                    os.close(self._handle)
                    self._handle = -1
                    raise StorageError(
                        "storage.in_use",
                        f"Another process holds {self._path.name}.",
                        hint="Stop the other agent: one data folder, one agent.",
                        retryable=True,
                    ) from error
                wait_s(nobody, POLL_S)
            else:
                return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._handle)
        self._handle = -1
