"""One HTTP PUT of one range of a file, in a thread: paced, counted, and stopped from outside.

The address is a secret: messages name its host only. Redirects are refused, not followed: the
center signed one address and no other.
"""

import hashlib
import http.client
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import SplitResult

from agent.core.clock import Clock, wait_s
from agent.core.errors import CommandError
from agent.core.file_store import Way, address_of, connection_to, cut, target_of

CHUNK_BYTES = 64 * 1024
_BUSY = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Range:
    """What is sent: `length` bytes of `path` from `offset`."""

    path: Path
    offset: int
    length: int


class UploadError(CommandError):
    """A part was not taken. `spoilt`: the address is of no more use, a new one is needed."""

    def __init__(self, code: str, message: str, *, hint: str, spoilt: bool) -> None:
        super().__init__(code, message, hint=hint, retryable=True)
        self.spoilt = spoilt


class Put:
    """`run()` blocks; `abort()` from another thread ends it soon. `sent_bytes` counts the body."""

    def __init__(
        self, url: str, part: Range, content_type: str, sha256: str, way: Way, clock: Clock
    ) -> None:
        self._url, self._part, self._way, self._clock = url, part, way, clock
        self._headers = {
            "Content-Type": content_type,
            "Content-Length": str(part.length),
            "X-Content-Sha256": sha256,
        }
        self._stop = threading.Event()
        self._connection: http.client.HTTPConnection | None = None
        self.sent_bytes = 0

    def abort(self) -> None:
        """Stop sending at once, also in the middle of a line that takes nothing."""
        self._stop.set()
        cut(self._connection)

    def run(self) -> str:
        """Send; return the store's ETag ("" when it has none). Raises `UploadError`, `OSError`.

        An `OSError` is the file's, which can't be read; the network's become `UploadError`.
        """
        parts = _checked(self._url, plain_http=self._way.plain_http)
        with self._part.path.open("rb") as file:
            file.seek(self._part.offset)
            connection = self._connection = self._connect(parts)
            try:
                answer = self._exchange(connection, target_of(parts), self._chunks(file))
            except ssl.SSLError as error:
                raise UploadError(
                    "upload.tls",
                    f"{parts.hostname} could not prove who it is: {error.reason}.",
                    hint="Check `uploads.ca_file` and that the box's clock is right.",
                    spoilt=False,
                ) from error
            except (OSError, http.client.HTTPException) as error:
                raise UploadError(
                    "upload.failed",
                    f"The file could not be sent to {parts.hostname}.",
                    hint="Check the box's way to the file store; it is tried again by itself.",
                    spoilt=False,
                ) from error
            finally:
                connection.close()
        _judge(answer.status, str(parts.hostname))
        return (answer.getheader("ETag") or "").strip('"')

    def _exchange(
        self, connection: http.client.HTTPConnection, target: str, body: Iterator[bytes]
    ) -> http.client.HTTPResponse:
        try:
            connection.request("PUT", target, body=body, headers=self._headers)
        except (BrokenPipeError, ConnectionResetError):
            if self._stop.is_set():
                raise
            # A store may refuse before it has read all; what it says matters more than how.
        answer = connection.getresponse()
        answer.read(4096)
        return answer

    def _connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        try:
            return connection_to(parts, self._way)
        except (OSError, ValueError) as error:
            raise UploadError(
                "upload.tls",
                "The authority for the file store can't be read.",
                hint="Check `uploads.ca_file`.",
                spoilt=False,
            ) from error

    def _chunks(self, file: BinaryIO) -> Iterator[bytes]:
        began_s, left = self._clock.monotonic_s(), self._part.length
        while left:
            chunk = file.read(min(CHUNK_BYTES, left))
            if not chunk:
                raise ConnectionAbortedError("the file is shorter than it was")
            left -= len(chunk)
            self.sent_bytes += len(chunk)
            if self._way.max_bps is not None:
                due_s = began_s + self.sent_bytes * 8 / self._way.max_bps
                wait_s(self._stop, due_s - self._clock.monotonic_s())
            if self._stop.is_set():
                raise ConnectionAbortedError("stopped")
            yield chunk


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(url: str, *, plain_http: bool) -> SplitResult:
    try:
        return address_of(url, plain_http=plain_http)
    except ValueError as error:
        raise UploadError(
            "upload.address",
            "The upload address is not an https address.",
            hint="Presign https addresses, or allow `uploads.plain_http` in a closed network.",
            spoilt=True,
        ) from error


def _judge(status: int, host: str) -> None:
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise UploadError(
            "upload.redirected",
            f"{host} wants the file to go elsewhere (HTTP {status}); that is refused.",
            hint="Presign the address of the store's own region.",
            spoilt=True,
        )
    raise UploadError(
        "upload.refused",
        f"{host} refused the file: HTTP {status}.",
        hint="An address that has expired is asked for anew; else look at the store.",
        spoilt=status < 500 and status not in _BUSY,
    )
