"""HTTP to one camera that always ends: one hard deadline for a whole exchange, one size cap.

A timeout of `requests` counts anew with every byte, so a camera that drips its answer holds a
thread for ever. Here each socket asks the deadline of its thread before every read. Runs in the
threads of `agent.cameras.gate`, in the core process.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from agent.cameras.port import CameraBadResponse, CameraUnreachable
from agent.core.clock import Clock

MAX_BODY_BYTES = 4 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_SHORTEST_WAIT_S = 0.001

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


class _DeadlineConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
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


class BoundedHttp:
    """One camera's HTTP session: kept connections, no proxy, no redirects, no cookies' tricks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", _DeadlineAdapter())

    def post(self, url: str, body: bytes, headers: dict[str, str], *, timeout_s: float) -> Answer:
        """Send once (twice when a kept connection turns out to be dead) and read all."""
        with within_s(self._clock, timeout_s):
            try:
                return self._exchange(url, body, headers)
            except requests.exceptions.ConnectTimeout as error:
                raise CameraUnreachable(f"no connection to {url} in time") from error
            except requests.exceptions.ConnectionError as error:
                if not _was_cut(error):
                    raise _unreachable(url, error) from error
            except (
                requests.exceptions.RequestException,
                urllib3.exceptions.HTTPError,
                OSError,
            ) as error:
                raise _unreachable(url, error) from error
            try:
                return self._exchange(url, body, headers)
            except (
                requests.exceptions.RequestException,
                urllib3.exceptions.HTTPError,
                OSError,
            ) as error:
                raise _unreachable(url, error) from error

    def close(self) -> None:
        self._session.close()

    def _exchange(self, url: str, body: bytes, headers: dict[str, str]) -> Answer:
        with self._session.post(
            url, data=body, headers=headers, timeout=_left_s(), stream=True, allow_redirects=False
        ) as response:
            chunks, size_bytes = [], 0
            for chunk in response.iter_content(_CHUNK_BYTES):
                size_bytes += len(chunk)
                if size_bytes > MAX_BODY_BYTES:
                    raise CameraBadResponse(f"the answer is longer than {MAX_BODY_BYTES} bytes")
                chunks.append(chunk)
                _left_s()  # TLS sockets don't ask by themselves
            return Answer(
                response.status_code,
                response.headers,
                b"".join(chunks),
                tuple(response.raw.headers.getlist("WWW-Authenticate")),
            )


def _was_cut(error: requests.exceptions.ConnectionError) -> bool:
    """Say whether the peer closed on us (a stale kept connection): once more is worth it."""
    reason = error.args[0] if error.args else None
    return isinstance(reason, urllib3.exceptions.ProtocolError)


def _unreachable(url: str, error: Exception) -> CameraUnreachable:
    return CameraUnreachable(f"no whole answer from {url} ({type(error).__name__})")
