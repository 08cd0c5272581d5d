"""Locked segments copied to a second disk, one at a time, behind the recording's back.

Written, synced, renamed, read back and compared by SHA-256 before a copy counts. A copy goes when
no lock holds its segment any more. Without its disk nothing is written: the folder must be a mount
point, else the copies would land on the root disk.
"""

import hashlib
import os
from datetime import datetime, timedelta
from pathlib import Path
from sqlite3 import Row

from agent.buffer.index import Index, micros
from agent.buffer.segment_file import sync_folder
from agent.core import log
from agent.core.errors import StorageError

_CHUNK_BYTES = 256 * 1024
_HELD = (
    "EXISTS (SELECT 1 FROM locks l WHERE l.released_utc_us IS NULL"
    " AND l.to_utc_us > s.start_utc_us AND l.from_utc_us < s.start_utc_us + s.duration_us)"
)
_NEXT = (
    "SELECT s.path, s.bytes FROM segments s WHERE s.state = 'closed'"  # noqa: S608
    f" AND s.path NOT LIKE 'staged/%' AND s.path NOT IN (SELECT path FROM copies) AND {_HELD}"
    " ORDER BY s.segment_id LIMIT ?"
)
_AGAIN = timedelta(hours=1)  # by then the check has looked
_STALE = (
    "SELECT path FROM copies c WHERE NOT EXISTS"  # noqa: S608
    f" (SELECT 1 FROM segments s WHERE s.path = c.path AND {_HELD}) LIMIT 1"
)


class Copier:
    """Copies or removes one file a call. Used by the worker's upkeep only."""

    def __init__(self, folder: Path, index: Index, second_dir: Path) -> None:
        self._folder, self._index, self._mount = folder, index, second_dir
        self._second = second_dir / folder.name
        self._put_off: dict[str, datetime] = {}  # what the first disk does not give, until when
        self._log = log.get("buffer.copies")

    def step(self, now: datetime) -> bool:
        """Do one thing; return whether there was one to do.

        Raises `StorageError` storage.second_disk when the disk is away or refuses.
        """
        self._put_off = {one: until for one, until in self._put_off.items() if until > now}
        with self._index.reading() as db:
            stale = db.execute(_STALE).fetchone()
            held = db.execute(_NEXT, (len(self._put_off) + 1,)).fetchall()
        segment = next((one for one in held if one["path"] not in self._put_off), None)
        if not self._mount.is_mount():
            raise _no_disk(f"nothing is mounted at {self._mount}")
        try:
            if stale is not None:
                self._remove(stale["path"])
            elif segment is not None:
                self._copy(segment, now)
            else:
                return False
        except OSError as error:
            raise _no_disk(str(error)) from error
        return True

    def _copy(self, segment: Row, now: datetime) -> None:
        source, target = self._folder / segment["path"], self._second / segment["path"]
        try:
            data_sha256 = _sha256(source)
        except OSError as error:  # gone, or the first disk refuses: the others must not wait for it
            self._put_off[segment["path"]] = now + _AGAIN
            self._log.warning("not copied", path=segment["path"], detail=str(error))
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_suffix(".part")
        with source.open("rb") as reader, scratch.open("wb") as writer:
            while chunk := reader.read(_CHUNK_BYTES):
                writer.write(chunk)
            writer.flush()
            os.fsync(writer.fileno())
            os.posix_fadvise(writer.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # read the medium back
        if scratch.stat().st_size != segment["bytes"] or _sha256(scratch) != data_sha256:
            scratch.unlink()
            raise _no_disk(f"the copy of {segment['path']} differs")
        scratch.replace(target)
        sync_folder(target.parent)
        with self._index.transaction() as db:
            db.execute(
                "INSERT INTO copies (path, bytes, sha256, made_utc_us) VALUES (?,?,?,?)",
                (segment["path"], segment["bytes"], data_sha256, micros(now)),
            )
        self._log.info("locked segment copied", path=segment["path"], bytes=segment["bytes"])

    def _remove(self, path: str) -> None:
        (self._second / path).unlink(missing_ok=True)
        with self._index.transaction() as db:
            db.execute("DELETE FROM copies WHERE path = ?", (path,))
        self._log.info("copy removed", path=path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _no_disk(why: str) -> StorageError:
    return StorageError(
        "storage.second_disk",
        f"The second disk can't take copies: {why}.",
        hint="Check that disk and `buffer.second_dir`; recording goes on without it.",
        retryable=True,
    )
