"""Tell systemd how the service is: one datagram to the socket it names, nothing else.

Protocol: sd_notify(3). Used by the supervisor only; without systemd every call does nothing. The
watchdog must be fed only while all required components progress; the supervisor does so at each of
its ticks, many times in any limit that makes sense.
"""

import os
import socket
from collections.abc import Mapping
from typing import Self


class Notifier:
    """The line to systemd. Never blocks; each call returns whether systemd was told."""

    def __init__(self, address: str = "") -> None:
        self._address, self._status = address, ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read NOTIFY_SOCKET."""
        return cls((os.environ if environ is None else environ).get("NOTIFY_SOCKET", ""))

    def ready(self, status: str = "") -> bool:
        """The service is up (Type=notify waits for this)."""
        return self._send("READY=1", status)

    def still_starts(self) -> bool:
        """The start takes long: the service is up, or this is said again, within a minute."""
        return self._send("EXTEND_TIMEOUT_USEC=60000000")

    def watchdog(self) -> bool:
        """All required components progress."""
        return self._send("WATCHDOG=1")

    def status(self, text: str) -> bool:
        """One line for `systemctl status`; told once, until it is another."""
        if text == self._status or not self._send("", text):
            return False
        self._status = text
        return True

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
