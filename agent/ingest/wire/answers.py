"""RTSP answers (RFC 2326) between the interleaved frames of a connection's buffer."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_HEAD_BYTES, MOST_BODY_BYTES = 16 * 1024, 64 * 1024
_MOST_HEADERS = 128
_FIRST = re.compile(r"RTSP/1\.[01] ([1-9]\d\d)(?: ([\x20-\x7e]*))?")
_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]*)[ \t]*:([\t\x20-\x7e\x80-\xff]*)")
START = b"RTSP/"


class BadAnswerError(ValueError):
    """What came is no RTSP answer, or one that wants our memory."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. Header names are in lower case."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    @property
    def cseq(self) -> int | None:
        text = self.header("cseq")
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def take_answer(data: bytearray, start: int, end: int) -> tuple[Answer, int] | None:
    """Return the answer at `start` and where it ends; None while it is not all there by `end`.

    Raises `BadAnswerError`.
    """
    opening = data[start : min(end, start + len(START))]
    if not START.startswith(opening):
        raise BadAnswerError("no RTSP")
    head_end = data.find(b"\r\n\r\n", start, min(end, start + MOST_HEAD_BYTES))
    if head_end < 0:
        if end - start >= MOST_HEAD_BYTES:
            raise BadAnswerError("head without end")
        return None
    first, *lines = data[start:head_end].decode("latin-1").split("\r\n")
    told = _FIRST.fullmatch(first)
    if told is None or len(lines) > _MOST_HEADERS:
        raise BadAnswerError("first line or number of headers")
    found = [_HEADER.fullmatch(line) for line in lines if line[:1] not in ("", " ", "\t")]
    headers = tuple((m[1].lower(), m[2].strip()) for m in found if m is not None)
    if len(headers) < len(found):
        raise BadAnswerError("header")
    length = next((value for name, value in headers if name == "content-length"), "0")
    if not (length.isascii() and length.isdecimal()) or int(length[:9]) > MOST_BODY_BYTES:
        raise BadAnswerError("content-length")
    body_at = head_end + 4
    whole = body_at + int(length[:9])
    if end < whole:
        return None
    return Answer(int(told[1]), told[2] or "", headers, bytes(data[body_at:whole])), whole
