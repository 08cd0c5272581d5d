"""Sends one file by HTTP PUT to the address the center gave: files never travel over MQTT."""

import http.client
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from agent.core.errors import CommandError

CHUNK_BYTES = 256 * 1024
TIMEOUT_S = 30.0
_SCHEMES = ("https", "http")


def put_file(path: Path, url: str, content_type: str, sha256: str) -> None:
    """PUT `path` to `url`; blocks, so call it in a thread. The URL is a secret: it is never logged.

    Raises `CommandError` upload.address, upload.refused or upload.failed (retryable).
    """
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise CommandError(
            "upload.address",
            "The upload address is not an http or https address.",
            hint="Ask the center for a presigned https address.",
        )
    connection = _connect(parts.scheme, parts.hostname, parts.port)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    try:
        connection.request(
            "PUT",
            target,
            body=_chunks(path),
            headers={
                "Content-Type": content_type,
                "Content-Length": str(path.stat().st_size),
                "X-Content-Sha256": sha256,
            },
        )
        answer = connection.getresponse()
        answer.read(4096)
    except (OSError, http.client.HTTPException) as error:
        raise CommandError(
            "upload.failed",
            f"The file could not be sent to {parts.hostname}.",
            hint="Check the box's way to the file store; the order may be given again.",
            retryable=True,
        ) from error
    finally:
        connection.close()
    if answer.status >= http.client.MULTIPLE_CHOICES:
        raise CommandError(
            "upload.refused",
            f"{parts.hostname} refused the file: HTTP {answer.status}.",
            hint="The address may have expired: give the order again.",
            retryable=True,
        )


def _connect(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
    return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
