"""The way to a file store over HTTP: which addresses are taken, and how its TLS is proven.

An address is signed by whoever presigned it, and a secret: what is told of one is its host.
"""

import http.client
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

TIMEOUT_S = 30.0
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Way:
    """How a file goes. `ca_file` empty: the system's authorities; `max_bps` None: full speed."""

    ca_file: str = ""
    plain_http: bool = False
    max_bps: int | None = None


def address_of(url: str, *, plain_http: bool) -> SplitResult:
    """Return the parts of an https address; http only where allowed, or on the box itself.

    Raises `ValueError`.
    """
    parts = urlsplit(url)
    is_http = parts.scheme == "http" and (plain_http or parts.hostname in _LOOPBACK)
    _ = parts.port  # raises when it is no number
    if not parts.hostname or not (parts.scheme == "https" or is_http):
        raise ValueError("no https address")
    return parts


def target_of(parts: SplitResult) -> str:
    """Return what is asked of the host: path and query."""
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def connection_to(parts: SplitResult, way: Way) -> http.client.HTTPConnection:
    """Return a connection that is not open yet. Raises `OSError`, `ValueError` for `ca_file`."""
    host = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_S)
    context = ssl.create_default_context(cafile=way.ca_file or None)
    return http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT_S, context=context)


def cut(connection: http.client.HTTPConnection | None) -> None:
    """End a connection from another thread, also one whose line takes or gives nothing."""
    line = None if connection is None else connection.sock
    if line is not None:
        with suppress(OSError):
            socket.socket.shutdown(line, socket.SHUT_RDWR)  # TLS is not asked: it would wait
