"""The files of an index's duplicate: signed, linked lines, written behind one another.

`index-duplicate/GROUP-NUMBER.jsonl`, NUMBER being its first line's. A line is: JSON of `Batch`,
tab, id of the key, tab, signature (base64).
"""

import base64
import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from agent.buffer.index import DUPLICATE
from agent.buffer.segment_file import sync_folder

FIRST = "0" * 64
_UNKNOWN_LINES = 1_000_000  # more than a file holds: none of its numbers is given twice


class Batch(Struct, frozen=True, kw_only=True):
    """One line. Bytes are `{"b": BASE64}`; `gone` are keys of rows that are there no more."""

    group: str
    camera: str
    number: int
    at: datetime
    previous_sha256: str
    columns: dict[str, list[str]]
    rows: dict[str, list[list[Any]]]
    gone: dict[str, list[list[Any]]] = {}


class Line(Struct, frozen=True):
    """A line as it stands in a file; `batch` is None where it can't be read."""

    body: bytes
    batch: Batch | None
    signature: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class Tail:
    """Where the next line goes: its file, None for a new one, and what stands before it."""

    path: Path | None
    number: int
    sha256: str
    begun_at: datetime | None = None  # when the file's first line was written


def files_of(folder: Path, group: str) -> list[Path]:
    """Return the files of a camera's duplicate, oldest first."""
    return sorted((folder / DUPLICATE).glob(f"{group}-*.jsonl"))


def first_number(path: Path) -> int:
    """Return the number of a file's first line, by its name."""
    return int(path.stem.rpartition("-")[2])


def lines_of(path: Path) -> Iterator[Line]:
    """Yield a file's lines; what a power cut left of the last one is none. Raises `OSError`."""
    for raw in _raw_lines(path):
        body, _, rest = raw.partition(b"\t")
        batch, signature = None, b""
        with suppress(msgspec.MsgspecError, ValueError):
            signature = base64.b64decode(rest.partition(b"\t")[2])
            batch = msgspec.json.decode(body, type=Batch)
        yield Line(body, batch, signature)


def tail_of(folder: Path, group: str, file_bytes: int) -> Tail:
    """Return where to go on. A file that can't be read is left as it is, and a new one begun."""
    files = files_of(folder, group)
    least = first_number(files[-1]) - 1 if files else 0  # also when no line came into that file
    for path in reversed(files):
        number, previous, begun_at = first_number(path) - 1, FIRST, None
        try:
            for line in lines_of(path):
                number = line.batch.number if line.batch else number + 1
                previous = line.sha256
                begun_at = begun_at or (line.batch.at if line.batch else None)
            goes_on = path == files[-1] and path.stat().st_size < file_bytes
        except OSError:
            return Tail(None, max(number, least) + _UNKNOWN_LINES, previous)
        if previous != FIRST:
            return Tail(path if goes_on else None, max(number, least), previous, begun_at)
    return Tail(None, least, FIRST)


def append(path: Path, body: bytes, key_id: str, signature: bytes) -> None:
    """Put a line behind the others, or, when the disk refuses it, nothing."""
    is_new = not path.exists()
    path.parent.mkdir(exist_ok=True)
    whole_bytes = 0 if is_new else sum(len(line) for line in _raw_lines(path))
    line = b"\t".join((body, key_id.encode(), base64.b64encode(signature))) + b"\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.ftruncate(handle, whole_bytes)  # behind it is what a power cut left
        with os.fdopen(os.dup(handle), "wb") as file:
            file.seek(whole_bytes)
            file.write(line)
            file.flush()
            os.fsync(handle)
    except OSError:
        with suppress(OSError):
            os.ftruncate(handle, whole_bytes)
        raise
    finally:
        os.close(handle)
    if not whole_bytes:
        sync_folder(path.parent)
        sync_folder(path.parent.parent)


def _raw_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from (raw for raw in file if raw.endswith(b"\n"))
