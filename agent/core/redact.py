"""Secrets never reach a log, a message or a page.

URLs lose their user part, secret keys their value, in structures and in free text alike. When in
doubt more is hidden than needed: a log line that lacks a host can be lived with, a leak can't.
"""

import dataclasses
import functools
import re
from collections.abc import Mapping, Set
from datetime import date
from typing import Any

import msgspec

HIDDEN = "***"
_MAX_DEPTH = 16  # deeper or circular structures end in "…"

_SENSITIVE = (
    r"password|passw|passphrase|passcode|(?<![a-z])pass(?![a-z])|(?-i:[a-z]Pass(?![a-z]))|pwd|secret|token|credential"
    r"|authori[sz]ation|private_?key|api_?key|cookie|nonce"
)
# Most texts hold nothing of interest: one search finds that out.
_SUSPECT = re.compile(rf"{_SENSITIVE}|://|[?&;]|basic|bearer|digest", re.IGNORECASE)
_SECRET_KEY = re.compile(rf"{_SENSITIVE}|private", re.IGNORECASE)
# Up to the last `@` before white space: a password may hold `@`, `/`, `:` and quotes.
_USERINFO = re.compile(r"(?P<before>://)\S*(?=@)")
_SECRET_QUERY = re.compile(
    r"(?P<before>[?&;](?:auth|key|sig(?:nature)?|session|X-Amz-[A-Za-z]{1,32})=)[^&\s\"<>]+",
    re.IGNORECASE,
)
_SECRET_PAIR = re.compile(  # password='…', "token": "…", PASSWORD=…; JSON, TOML, reprs, queries
    rf"(?P<before>(?:{_SENSITIVE})\w{{0,32}}\\?[\"']?\s{{0,4}}[=:]\s{{0,4}})"
    r"(?:b?\\?\"(?:[^\"\\]|\\.)*\\?\"?"
    r"|b?'(?:[^'\\]|\\.)*'?"
    r"|[\[({][^\])}]*[\])}]?"
    r"|(?:null|true|false|None|-?\d{1,20})(?=[,}\])\s]|$)"
    r"|[^\s&<>]+)",
    re.IGNORECASE | re.DOTALL,
)
_SECRET_ELEMENT = re.compile(  # <wsse:Password Type="…">…</wsse:Password>
    rf"(?P<before><[\w:.-]{{0,64}}(?:{_SENSITIVE})\w{{0,32}}(?:\s[^<>]*)?>)[^<]+", re.IGNORECASE
)
_AUTH_SCHEME = re.compile(
    r"(?P<before>\b(?:Basic|Bearer)\s{1,4})[\w+/=.~-]{8,}|(?P<digest>\bDigest\s{1,4})\w+=[^\r\n]+",
    re.IGNORECASE,
)


def redact_text(text: str) -> str:
    """Return `text` with the secrets of URLs, `key=value` pairs, XML and HTTP headers hidden."""
    if not _SUSPECT.search(text):
        return text
    if "://" in text:
        text = _USERINFO.sub(_hide, text)
    for pattern in (_AUTH_SCHEME, _SECRET_ELEMENT, _SECRET_QUERY, _SECRET_PAIR):
        text = pattern.sub(_hide, text)
    return text


def redact(value: Any, key: str = "") -> Any:
    """Return a JSON-like copy of `value` with secrets hidden, by key name and in every text.

    Structs and dataclasses become dicts, bytes their length, anything unknown its redacted `str`.
    """
    return _redact(value, key, 0)


def _hide(found: re.Match[str]) -> str:
    return (found["before"] or found.groupdict().get("digest") or "") + HIDDEN


@functools.lru_cache(maxsize=512)
def _is_secret(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None


_redact_name = functools.lru_cache(maxsize=512)(redact_text)


def _redact(value: Any, key: str, depth: int) -> Any:
    if value is None or value == "":
        return value
    if key and _is_secret(key):
        return HIDDEN
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bool | int | float | date):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    return _redact_structure(value, depth + 1)


def _redact_structure(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return "…"
    fields = _fields_of(value)
    if fields is not None:
        return {
            _redact_name(str(name)): _redact(item, str(name), depth)
            for name, item in fields.items()
        }
    if isinstance(value, list | tuple | Set):
        return [_redact(item, "", depth) for item in value]
    if isinstance(value, BaseException):
        return redact_text(f"{type(value).__name__}: {value}")
    return redact_text(str(value))


def _fields_of(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None
