"""HTTP to one camera that always ends: one hard deadline for a whole exchange, one size cap.

A timeout of `requests` counts anew with every byte, so a camera that drips its answer holds a
thread for ever. Here each socket asks the deadline of its thread before every read. Runs in the
threads of `agent.cameras.gate`, in the core process.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssl_ import create_urllib3_context

from agent.cameras.port import CameraBadResponse, CameraCertificate, CameraUnreachable
from agent.cameras.tls import CameraTls
from agent.core.clock import Clock

MAX_BODY_BYTES = 4 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_SHORTEST_WAIT_S = 0.001

Making = Callable[[], tuple[bytes, dict[str, str]]]  # a request's body and headers

_thread = threading.local()


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer; also what zeep reads a reply from, hence the names."""

    status_code: int
    headers: Any
    content: bytes
    challenges: tuple[str, ...] = ()
    encoding: str = "utf-8"


@contextlib.contextmanager
def within_s(clock: Clock, seconds: float) -> Iterator[None]:
    """Let all exchanges of this thread inside the block take `seconds` together at most."""
    outer: Callable[[], float] | None = getattr(_thread, "left_s", None)
    end_s = clock.monotonic_s() + seconds

    def left_s() -> float:
        mine_s = end_s - clock.monotonic_s()
        return min(mine_s, outer()) if outer else mine_s

    _thread.left_s = left_s
    try:
        yield
    finally:
        _thread.left_s = outer


def _left_s() -> float:
    left_s: float = _thread.left_s()
    if left_s <= 0:
        raise TimeoutError("the deadline of this exchange is over")
    return max(left_s, _SHORTEST_WAIT_S)


class _DeadlineSocket(socket.socket):
    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_left_s())
        return super().recv_into(*args, **kwargs)


class _DeadlineTlsSocket(ssl.SSLSocket):
    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_left_s())
        return super().recv_into(*args, **kwargs)


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        _thread.is_kept = False
        return super()._new_conn()


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _DeadlineConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        _thread.is_kept = False
        plain = super()._new_conn()
        timeout_s = plain.gettimeout()
        watched = _DeadlineSocket(fileno=plain.detach())
        watched.settimeout(timeout_s)
        return watched


class _DeadlinePool(urllib3.HTTPConnectionPool):
    ConnectionCls = _DeadlineConnection


class _DeadlineAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        manager = self.poolmanager
        manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, "http": _DeadlinePool}


class _TlsAdapter(HTTPAdapter):
    """TLS as one camera's record wants it, with sockets that know the deadline."""

    def __init__(self, tls: CameraTls) -> None:
        self._tls = tls
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        tls = self._tls
        is_checked = tls.verify and not tls.fingerprint
        context = create_urllib3_context(
            cert_reqs=ssl.CERT_REQUIRED if is_checked else ssl.CERT_NONE
        )
        context.sslsocket_class = _DeadlineTlsSocket
        if is_checked:
            context.load_default_certs()
        kwargs |= {"ssl_context": context, "assert_fingerprint": tls.fingerprint or None}
        if tls.host:
            kwargs |= {"assert_hostname": tls.host, "server_hostname": tls.host}
        super().init_poolmanager(*args, **kwargs)
        manager = self.poolmanager
        manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, "https": _TlsPool}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:  # noqa: ARG002
        """Leave the context as it is: what `requests` would set here would undo the pinning."""
        conn.cert_reqs = "CERT_REQUIRED" if verify else "CERT_NONE"
        conn.ca_certs = verify if isinstance(verify, str) else None


class BoundedHttp:
    """One camera's HTTP session: kept connections, no proxy, no redirects, no cookies' tricks."""

    def __init__(self, clock: Clock, tls: CameraTls | None = None) -> None:
        self._clock = clock
        tls = tls or CameraTls()
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = (tls.verify and not tls.fingerprint) and (tls.ca_file or True)
        self._session.mount("http://", _DeadlineAdapter())
        self._tls: CameraTls | None = tls  # until it is needed: reading authorities costs 30 ms

    def request(
        self, method: str, url: str, make: Making, *, timeout_s: float, may_repeat: bool = True
    ) -> Answer:
        """Send once (twice when a kept connection turns out to be dead) and read all.

        `make` is called for each of them: a login serves once only. What went out over a new
        connection was most likely heard, whatever became of the answer: it is not sent again.
        """
        if self._tls is not None and url.startswith("https:"):
            self._session.mount("https://", _TlsAdapter(self._tls))
            self._tls = None
        with within_s(self._clock, timeout_s):
            _thread.is_kept = True  # until a connection has to be made
            try:
                return self._exchange(method, url, *make())
            except requests.exceptions.ConnectTimeout as error:
                raise CameraUnreachable(f"no connection to {url} in time") from error
            except requests.exceptions.ConnectionError as error:
                if not (may_repeat and _thread.is_kept and _was_cut(error)):
                    raise _unreachable(url, error) from error
            except _FAILURES as error:
                raise _unreachable(url, error) from error
            try:
                return self._exchange(method, url, *make())
            except _FAILURES as error:
                raise _unreachable(url, error) from error

    def close(self) -> None:
        self._session.close()

    def _exchange(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        with self._session.request(
            method,
            url,
            data=body,
            headers=headers,
            timeout=_left_s(),
            stream=True,
            allow_redirects=False,
        ) as response:
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise CameraBadResponse("the answer is compressed, which nobody asked for")
            chunks, size_bytes = [], 0
            for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=False):
                size_bytes += len(chunk)
                if size_bytes > MAX_BODY_BYTES:
                    raise CameraBadResponse(f"the answer is longer than {MAX_BODY_BYTES} bytes")
                chunks.append(chunk)
            return Answer(
                response.status_code,
                response.headers,
                b"".join(chunks),
                tuple(response.raw.headers.getlist("WWW-Authenticate")),
            )


_FAILURES = (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError)


def _was_cut(error: requests.exceptions.ConnectionError) -> bool:
    """Say whether the peer closed on us (a stale kept connection): once more is worth it."""
    reason = error.args[0] if error.args else None
    return isinstance(reason, urllib3.exceptions.ProtocolError)


def _unreachable(url: str, error: Exception) -> CameraUnreachable | CameraCertificate:
    if isinstance(error, requests.exceptions.SSLError | ssl.SSLCertVerificationError):
        return CameraCertificate(f"the certificate of {url} is not the one to trust")
    return CameraUnreachable(f"no whole answer from {url} ({type(error).__name__})")
