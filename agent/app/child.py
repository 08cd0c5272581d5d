"""A child process's end of the supervisor's line: beats out, settings and process reports in."""

import contextlib
import ctypes
import os
import signal
import socket
from typing import Protocol

from agent.messages import supervision
from agent.messages.supervision import MAX_MESSAGE_BYTES, Beat, Reload, ToChild

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


class Link(Protocol):
    """What a child needs of its supervisor."""

    def beat(self, ages_s: dict[str, float]) -> None: ...

    def ask_reload(self) -> None: ...


class SupervisorLink:
    """One end of a SEQPACKET pair. Never blocks: a busy supervisor misses a beat, no more."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = sock

    def beat(self, ages_s: dict[str, float]) -> None:
        """Say that this process lives, with the seconds since each part's last progress."""
        self._send(supervision.encode(Beat(ages_s=ages_s)))

    def ask_reload(self) -> None:
        """Say that the desired settings on disk have changed."""
        self._send(supervision.encode(Reload()))

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


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent dies, so that no orphan keeps a camera."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def name_thread(name: str) -> None:
    """Give the calling thread a name that `top -H` and `ps -L` show; 15 characters count."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode())


def orphaned(parent_pid: int) -> bool:
    """Return whether the parent died before `die_with_parent` took hold."""
    return os.getppid() != parent_pid
