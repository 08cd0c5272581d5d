"""Secrets never reach a log, a message or a page: in URLs and under secret keys they are hidden."""

import re
from typing import Any

HIDDEN = "***"
_USERINFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s@\"']*@", re.IGNORECASE)
_SECRET_KEY = re.compile(
    r"pass(word)?|secret|token|credential|private|authorization", re.IGNORECASE
)
_SECRET_QUERY = re.compile(
    r"(?P<key>[?&](?:pass(?:word)?|pwd|token|auth|key|sig(?:nature)?|X-Amz-[A-Za-z]+)=)[^&\s\"']+",
    re.IGNORECASE,
)


def redact_text(text: str) -> str:
    """Return `text` with user parts and secret query values of all URLs hidden."""
    return _SECRET_QUERY.sub(
        lambda found: found["key"] + HIDDEN,
        _USERINFO.sub(lambda found: f"{found['scheme']}{HIDDEN}@", text),
    )


def redact(value: Any, key: str = "") -> Any:
    """Return a copy of a JSON-like `value` with secrets hidden, by key name and in URLs."""
    if key and _SECRET_KEY.search(key) and value not in (None, ""):
        return HIDDEN
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {name: redact(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item) for item in value]
    return value
