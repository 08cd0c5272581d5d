"""The line to a relay, TCP or TLS: what both ways of publishing have in common.

Not libav's: PyAV holds the interpreter's lock while libav connects, so a silent relay would stop
the recording of the whole worker; and a socket of our own can be cut in an instant.
"""

import fcntl
import select
import socket
import ssl
import struct
import termios
from array import array
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

from agent.core.errors import PolesideError

_ANSWER_S, _SLICE_S, _STALL_S, _DEAD_S = 3.0, 0.2, 1.0, 5.0
_END_TRIES, _END_LOOK_S = 15, 0.02
_PORTS = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443}  # RFC 2326, RFC 7826, RTMP 1.0


class PushError(PolesideError):
    """The relay can't be reached, refuses, or does not take what is sent."""


class RelayLine:
    """One connection. Used by one thread; `may_go_on` is asked at least every 0.2 s of sending."""

    def __init__(
        self, url: str, may_go_on: Callable[[], bool], ca: str = "", send_bytes: int = 0
    ) -> None:
        """Connect. `ca`: PEM of the one authority that may vouch for the relay.

        `send_bytes` bounds what waits in the system; 0 leaves that to it.

        Raises `PushError` push.unreachable, untrusted.
        """
        self._may_go_on = may_go_on
        self.stalls = 0
        try:
            self.socket = _connect(url, ca, send_bytes)
        except ssl.SSLCertVerificationError:
            raise push_error("untrusted", "The relay can't prove who it is.") from None
        except OSError as error:
            raise push_error(
                "unreachable", f"The relay can't be reached: {type(error).__name__}."
            ) from None

    def begun(self) -> None:
        """The relay has taken the push: from now on nobody is waited for."""
        self.socket.settimeout(_SLICE_S)

    def send(self, data: bytes) -> bytes:
        """Send all of it; return what the relay has said meanwhile.

        Raises `PushError` push.stalled, push.lost, push.over.
        """
        view, waited_s = memoryview(data), 0.0
        try:
            while view:
                if not self._may_go_on():
                    raise push_error("over", "The push is over.")
                try:
                    view = view[self.socket.send(view) :]
                    waited_s = 0.0
                except TimeoutError:
                    self.stalls += waited_s < _STALL_S <= waited_s + _SLICE_S
                    waited_s += _SLICE_S
                    if waited_s >= _DEAD_S:
                        raise push_error("stalled", "The relay takes nothing more.") from None
            return self._heard()
        except OSError as error:
            what = f"The line to the relay ended: {type(error).__name__}."
            raise push_error("lost", what) from None

    def end(self, good_bye: Callable[[], object]) -> None:
        """Say good-bye and close; nothing that waits to be sent goes out later."""
        try:
            good_bye()
            if self._is_all_sent():
                self.socket.close()
                return
        except OSError:
            pass  # it takes nothing more
        self.cut()

    def cut(self) -> None:
        """Close at once; what the system has not sent yet is thrown away."""
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        finally:
            self.socket.close()

    def _is_all_sent(self) -> bool:
        """Give the system a moment to send what it holds (ioctl SIOCOUTQ, tcp(7))."""
        held = array("i", [0])
        for _ in range(_END_TRIES):
            fcntl.ioctl(self.socket.fileno(), termios.TIOCOUTQ, held)
            if held[0] == 0:
                return True
            select.select([], [], [], _END_LOOK_S)
        return False

    def _heard(self) -> bytes:
        """Take what the relay says off the line."""
        heard = b""
        while select.select([self.socket], [], [], 0)[0]:
            try:
                more = self.socket.recv(4096)
            except (TimeoutError, ssl.SSLWantReadError):
                break
            if not more:
                raise ConnectionResetError
            heard += more
        return heard


def push_error(what: str, message: str) -> PushError:
    """Return the error with its code `push.<what>`."""
    return PushError(
        f"push.{what}", message, hint="Look at the relay and the line to it.", retryable=True
    )


def _connect(url: str, ca: str, send_bytes: int) -> socket.socket:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    plain = socket.create_connection((host, port), timeout=_ANSWER_S)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if send_bytes:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_bytes)
    if not parts.scheme.endswith("s"):
        return plain
    try:
        return cast("socket.socket", _trust(ca).wrap_socket(plain, server_hostname=host))
    except OSError:
        plain.close()
        raise


def _trust(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=ca or None)  # without one, also $SSL_CERT_FILE
    except ssl.SSLError:  # no certificate at all: then nobody is trusted
        raise ssl.SSLCertVerificationError from None
