"""The TCP or TLS connection to a camera, read in large pieces into one buffer of fixed size."""

from __future__ import annotations

import hashlib
import select
import socket
from collections.abc import Callable
from contextlib import suppress

from agent.core.clock import Clock
from agent.core.shown import Shown, mac_of
from agent.ingest.source import TlsTrust
from agent.ingest.wire.pictures import SLACK_BYTES

BUFFER_BYTES = 192 * 1024  # more than any one interleaved frame; what came before is read out
_KERNEL_BYTES = 256 * 1024  # what may gather while nobody reads
_LAST_BYTES = 4 * 1024 * 1024  # of one who goes on speaking after the end
_SHORT = 4096  # a read that leaves so much room has emptied the socket


class LineClosedError(ConnectionError):
    """The camera closed the connection."""


class Line:
    """One connection. What has come and is not taken yet: `raw[start:end]`."""

    def __init__(
        self, host: str, port: int, trust: TlsTrust | None, clock: Clock, timeout_s: float
    ) -> None:
        """Connect; with `trust`, over TLS. Raises `OSError`, `CameraError` camera.tls."""
        self._clock = clock
        self.raw = bytearray(BUFFER_BYTES + SLACK_BYTES)
        self._view = memoryview(self.raw)
        self.start = self.end = 0
        until_s = clock.monotonic_s() + timeout_s
        plain = socket.create_connection((host, port), timeout_s)
        self._socket: socket.socket = plain
        self._is_empty: tuple[type[OSError], ...] = (BlockingIOError,)
        self._pending: Callable[[], int] | None = None  # bytes that TLS has read already
        try:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BYTES)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if trust is not None:
                plain.settimeout(max(0.01, until_s - clock.monotonic_s()))
                self._secure(plain, trust, host)
            self._socket.setblocking(False)
        except BaseException:
            self._socket.close()
            raise
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def _secure(self, plain: socket.socket, trust: TlsTrust, host: str) -> None:
        import ssl  # noqa: PLC0415 - most cameras have no TLS, and it is 3 MB

        from agent.ingest.tls import secured  # noqa: PLC0415

        self._socket = tls = secured(plain, trust, host)
        self._pending, self._is_empty = tls.pending, (BlockingIOError, ssl.SSLWantReadError)

    def shown(self) -> Shown:
        """Return what the other side of the connection shows."""
        return shown_by(self._socket)

    def wait(self, timeout_s: float) -> bool:
        """Wait until there is something to read; False when nothing comes in time."""
        if self._pending is not None and self._pending():
            return True
        return bool(self._poll.poll(max(0.0, timeout_s) * 1000))

    def read(self) -> int:
        """Take in what has come, as much as there is room for; return how many bytes.

        Raises `LineClosedError`, `OSError`.
        """
        if self.start:
            rest = self.end - self.start
            self._view[:rest] = self._view[self.start : self.end]
            self.start, self.end = 0, rest
        before = self.end
        while self.end < BUFFER_BYTES:
            try:
                count = self._socket.recv_into(self._view[self.end : BUFFER_BYTES])
            except self._is_empty:
                break
            if not count:
                if self.end == before:
                    raise LineClosedError
                break  # what came before the end is read first
            self.end += count
            if self._pending is None and self.end < BUFFER_BYTES - _SHORT:
                break
        return self.end - before

    def send(self, message: bytes, timeout_s: float) -> None:
        """Send a request. Raises `OSError`, `TimeoutError`."""
        self._socket.settimeout(max(0.01, timeout_s))
        try:
            self._socket.sendall(message)
        finally:
            self._socket.setblocking(False)

    def close(self, *, hear_out_s: float = 0.0) -> None:
        """Close; who still speaks is heard out for a moment, or our last word would be lost.

        What comes to a closed socket is answered with a reset, and that takes from the other side
        what it has not read yet.
        """
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            self._hear_out(self._clock.monotonic_s() + hear_out_s)
        self._socket.close()

    def _hear_out(self, until_s: float) -> None:
        """Let go what comes, until the other side closes, too; so much at most."""
        left_bytes = _LAST_BYTES
        while left_bytes > 0 and self.wait(until_s - self._clock.monotonic_s()):
            try:
                count = self._socket.recv_into(self._view)
            except self._is_empty:
                continue
            if not count:
                return
            left_bytes -= count
            if self._clock.monotonic_s() >= until_s:
                return


def shown_by(line: socket.socket) -> Shown:
    """Return what the other side of a connection shows: MAC address and certificate.

    Not one that an authority vouches for: that was checked, and may be renewed.
    """
    context = getattr(line, "context", None)  # of TLS only
    read = getattr(line, "getpeercert", None) if context and not context.verify_mode else None
    certificate = (read(binary_form=True) or b"") if read else b""
    fingerprint = hashlib.sha256(certificate).hexdigest() if certificate else ""
    return Shown(mac=mac_of(line.getpeername()[0]), fingerprint=fingerprint)
