"""Tell systemd how the service is: one datagram to the socket it names, nothing else.

Protocol: sd_notify(3). Used by the supervisor only; without systemd every call does nothing. The
watchdog must be fed only while all required components progress.
"""

import os
import socket
from collections.abc import Mapping
from typing import Self

_MICRO = 1e-6
_FEED_SHARE = 0.5  # sd_watchdog_enabled(3) recommends half of the limit


class Notifier:
    """The line to systemd. Never blocks; each call returns whether systemd was told."""

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self._address, self.watchdog_s = address, watchdog_s

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None, pid: int = 0) -> Self:
        """Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID (ignored when for another process)."""
        env = os.environ if environ is None else environ
        return cls(env.get("NOTIFY_SOCKET", ""), _watchdog_s(env, pid or os.getpid()))

    @property
    def feed_every_s(self) -> float | None:
        """How often to call `watchdog`; None when systemd keeps no watchdog on us."""
        return None if self.watchdog_s is None else self.watchdog_s * _FEED_SHARE

    def ready(self, status: str = "") -> bool:
        """The service is up (Type=notify waits for this)."""
        return self._send("READY=1", status)

    def watchdog(self) -> bool:
        """All required components progress."""
        return self._send("WATCHDOG=1")

    def status(self, text: str) -> bool:
        """One line for `systemctl status`."""
        return self._send("", text)

    def stopping(self, status: str = "") -> bool:
        """The service is on its way down."""
        return self._send("STOPPING=1", status)

    def _send(self, state: str, status: str = "") -> bool:
        if not self._address.startswith(("/", "@")):
            return False
        lines = [state] if state else []
        if status:
            lines.append("STATUS=" + " ".join(status.split()))  # a line break would end the field
        # "@" stands for the NUL that begins an abstract address
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.setblocking(False)
                sock.sendto("\n".join(lines).encode(), address)
        except OSError:  # a full queue or no systemd: the next call tells it again
            return False
        return True


def _watchdog_s(env: Mapping[str, str], pid: int) -> float | None:
    owner, limit_us = env.get("WATCHDOG_PID", ""), env.get("WATCHDOG_USEC", "")
    if owner and owner != str(pid):
        return None
    if not limit_us.isascii() or not limit_us.isdigit() or int(limit_us) == 0:
        return None
    return int(limit_us) * _MICRO
