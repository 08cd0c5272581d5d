"""A child process's end of the supervisor's line: beats out, settings and process reports in."""

import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Protocol

from agent.core import log
from agent.messages import supervision
from agent.messages.supervision import (
    MAX_MESSAGE_BYTES,
    Beat,
    KeyFrame,
    Reload,
    ToChild,
    WantSuccessor,
)

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


class Link(Protocol):
    """What a child needs of its supervisor."""

    def beat(self, ages_s: dict[str, float]) -> None: ...

    def ask_reload(self) -> None: ...


class SupervisorLink:
    """One end of a SEQPACKET pair. Never blocks: a busy supervisor misses a beat, no more."""

    def __init__(self, sock: socket.socket, *, is_successor: bool = False) -> None:
        """`is_successor`: another process still has the place of the one that gets this."""
        sock.setblocking(False)
        self.socket, self.is_successor = sock, is_successor

    def beat(self, ages_s: dict[str, float]) -> None:
        """Say that this process lives, with the seconds since each part's last progress."""
        self._send(supervision.encode(Beat(ages_s=ages_s)))

    def ask_reload(self) -> None:
        """Say that the desired settings on disk have changed."""
        self._send(supervision.encode(Reload()))

    def ask_successor(self) -> None:
        """Say that this process has to end, and wants another to stand ready first."""
        self._send(supervision.encode(WantSuccessor()))

    def tell_key_frame(self, key: KeyFrame) -> None:
        """Name a key frame to the process whose place this one will take."""
        self._send(supervision.encode(key))

    def receive(self) -> ToChild | None:
        """Return the next message; None when there is none. Raises `EOFError`: supervisor gone."""
        try:
            payload = self.socket.recv(MAX_MESSAGE_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            raise EOFError from error
        if not payload:
            raise EOFError
        message: ToChild = supervision.decode_to_child(payload)
        return message

    def _send(self, payload: bytes) -> None:
        with contextlib.suppress(OSError):
            self.socket.send(payload)


def spawn(module: str, theirs: socket.socket) -> int:
    """Run `module` in a fresh interpreter that inherits the socket and nothing else."""
    handle = theirs.fileno()
    os.set_inheritable(handle, True)
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", module, str(handle), str(os.getpid())],
        os.environ,
        setsigdef=[signal.SIGTERM, signal.SIGINT, signal.SIGCHLD],
    )


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent dies, so that no orphan keeps a camera."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def name_thread(name: str) -> None:
    """Give the calling thread a name that `top -H` and `ps -L` show; 15 characters count."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())


def guarded_thread(name: str, body: Callable[[], None]) -> threading.Thread:
    """Start a thread of a worker; an exception ends it with a line in the log."""

    def guarded() -> None:
        name_thread(name)
        try:
            body()
        except Exception as error:  # noqa: BLE001 - the edge of a thread: say why, then end
            log.get("camera").error("thread failed", thread=name, exc_info=error)

    thread = threading.Thread(target=guarded, name=name, daemon=True)
    thread.start()
    return thread


def orphaned(parent_pid: int) -> bool:
    """Return whether the parent died before `die_with_parent` took hold."""
    return os.getppid() != parent_pid
