"""RTSP requests and responses as bytes (RFC 2326), and the binary frames between them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Self
from urllib.parse import urlsplit

MAX_REQUEST_BYTES = 16 * 1024

_REASONS = {
    453: "Not Enough Bandwidth",
    454: "Session Not Found",
    461: "Unsupported Transport",
    551: "Option not supported",
}


class RtspSyntaxError(ValueError):
    """The client sent what is no RTSP; the connection is of no further use."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Header names are in lower case."""

    method: str
    uri: str
    headers: Mapping[str, str]
    body: str = ""

    @property
    def stream_name(self) -> str:
        """The first part of the path: `main` for rtsp://host/main/trackID=0."""
        return urlsplit(self.uri).path.strip("/").partition("/")[0]

    @classmethod
    def parse(cls, head: str) -> Self:
        first, *lines = head.split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("RTSP/1."):
            raise RtspSyntaxError(first)
        pairs = (line.partition(":") for line in lines)
        return cls(words[0], words[1], {name.lower(): text.strip() for name, _, text in pairs})


@dataclass(frozen=True, slots=True)
class Response:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""

    def encode(self, cseq: str) -> bytes:
        reason = _REASONS.get(self.status) or HTTPStatus(self.status).phrase
        lines = [f"RTSP/1.0 {self.status} {reason}", f"CSeq: {cseq}"]
        lines += [f"{name}: {text}" for name, text in self.headers.items()]
        body = self.body.encode()
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode() + body


def take_request(
    buffer: bytearray, on_frame: Callable[[bytes], None] = lambda _: None
) -> Request | None:
    """Remove one complete request from `buffer`; return None while it is not all there.

    Interleaved frames (receiver reports, or a publisher's media) are removed and given, with their
    four bytes of head, to `on_frame`.
    """
    while buffer[:1] == b"$":
        size_bytes = 4 + int.from_bytes(buffer[2:4], "big")
        if len(buffer) < max(4, size_bytes):
            return None
        on_frame(bytes(buffer[:size_bytes]))
        del buffer[:size_bytes]
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > MAX_REQUEST_BYTES:
            raise RtspSyntaxError("request without end")
        return None
    request = Request.parse(buffer[:end].decode("utf-8", "replace").lstrip("\r\n"))
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > MAX_REQUEST_BYTES:
        raise RtspSyntaxError("content-length")
    whole_bytes = end + 4 + int(length)
    if len(buffer) < whole_bytes:
        return None
    body = bytes(buffer[end + 4 : whole_bytes]).decode("utf-8", "replace")
    del buffer[:whole_bytes]
    return replace(request, body=body)
