"""The diagnostic bundle as a file: a zip with a list of its parts, bounded, every secret taken out.

Two nets: what is known to be secret (values of the settings and of the key files) goes by its very
text, in every form it is usually written; whatever looks like a secret goes by `agent.core.redact`.
"""

import hashlib
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from agent.core.errors import StorageError
from agent.core.redact import HIDDEN, redact, redact_text

MOST_BYTES: Final = 20 * 1024 * 1024  # of all parts before they are packed
MOST_PART_BYTES: Final = 6 * 1024 * 1024
_SHORTEST: Final = 4  # a shorter password would be found in every other word
_SECRET_NAME: Final = re.compile(
    r"password|secret|token|passphrase|private|api_?key|(^|_)key$", re.IGNORECASE
)
_LEFT_OUT, _INDEX = "left-out.txt", "index.json"


class Scrubber:
    """Takes known secrets out of bytes."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= _SHORTEST for form in _forms(secret)}
        longest_first = sorted(forms, key=len, reverse=True)
        joined = b"|".join(re.escape(form) for form in longest_first)
        self._pattern = re.compile(joined) if joined else None

    def clean(self, content: bytes) -> bytes:
        """Return `content` without them."""
        return self._pattern.sub(HIDDEN.encode(), content) if self._pattern else content


def secrets_in(value: Any, name: str = "") -> Iterator[str]:
    """Yield every secret that stands in settings, by the names of their keys and in addresses."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from secrets_in(inner, str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from secrets_in(inner, name)
    elif isinstance(value, str) and value:
        if _SECRET_NAME.search(name):
            yield value
        elif found := re.match(r"[a-z]+://[^/\s]*?:(?P<password>[^/\s]*)@", value):
            yield found["password"]


def _forms(secret: str) -> set[bytes]:
    """Return how a secret may be written: as it is, in a URL, in JSON."""
    texts = {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]}
    texts.add(msgspec.json.encode(secret).decode()[1:-1])
    return {text.encode() for text in texts}


class BundleFile:
    """Gathers parts and writes them; a part that can't be had is told, and the others go on."""

    def __init__(self, path: Path, scrubber: Scrubber) -> None:
        """Raises `StorageError` where no file can be made."""
        self._path, self._scrubber = path, scrubber
        try:
            self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
        except OSError as error:
            raise StorageError(
                "storage.not_writable",
                f"The bundle can't be written to {path}: {error.strerror}.",
                hint="Give another file with --out.",
            ) from error
        self._size = 0
        self._index: list[dict[str, Any]] = []
        self._left_out: list[str] = []

    def add_json(self, name: str, value: Any) -> None:
        """Add a value, secrets hidden by the names of their keys, too."""
        told = redact(msgspec.to_builtins(value))
        self._add(name, msgspec.json.format(msgspec.json.encode(told)))

    def add_text(self, name: str, text: str) -> None:
        """Add a text, line by line redacted; of one that is too long its end."""
        lines = [redact_text(line) for line in text.splitlines()]
        content = "\n".join(lines).encode()
        if len(content) > MOST_PART_BYTES:
            self._left_out.append(f"{name}: all but the last {MOST_PART_BYTES} bytes")
            content = content[-MOST_PART_BYTES:].partition(b"\n")[2]
        self._add(name, content)

    def failed(self, name: str, error: Exception) -> None:
        """Say that a part can't be had, and why."""
        self._left_out.append(redact_text(f"{name}: {error}"))

    def close(self) -> str:
        """Write what was left out and the list of parts; return the file's SHA-256."""
        self._put(_LEFT_OUT, self._scrubber.clean("\n".join(self._left_out).encode() or b"nothing"))
        self._put(_INDEX, msgspec.json.format(msgspec.json.encode(self._index)))
        self._zip.close()
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _add(self, name: str, content: bytes) -> None:
        content = self._scrubber.clean(content)
        if len(content) > MOST_PART_BYTES or self._size + len(content) > MOST_BYTES:
            self._left_out.append(f"{name}: {len(content)} bytes are too many")
            return
        self._size += len(content)
        sha256 = hashlib.sha256(content).hexdigest()
        self._index.append({"name": name, "bytes": len(content), "sha256": sha256})
        self._put(name, content)

    def _put(self, name: str, content: bytes) -> None:
        self._zip.writestr(name, content)
