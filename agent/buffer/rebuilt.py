"""An index made anew without the agent: for `poleside buffer check --rebuild`.

On a disk that can be written it takes the lost one's place, as the agent would have it. On a
read-only one nothing can be written beside the recordings: it lies in the temporary folder of who
asked, and whoever reads that disk's recordings as the same user finds it there.
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import DatabaseError

from agent.buffer.check import Check
from agent.buffer.index import INDEX_FILE, Index
from agent.buffer.journal import Verifier
from agent.buffer.medium import is_read_only
from agent.buffer.orders import WORKER_LOCK
from agent.buffer.rebuild import damage_of, fill, open_index
from agent.buffer.rebuilt_place import place_of
from agent.buffer.restoring import Restoring
from agent.core.clock import Clock
from agent.core.errors import StorageError
from agent.core.lock import FileLock
from agent.core.sqlite import Part, open_reader


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was made of one camera's folder. `why` is what was wrong; empty: nothing was."""

    why: str
    index_file: Path
    segments: int = 0
    gaps: int = 0
    unsigned: int = 0  # segments that no line of the duplicate told of
    refused: tuple[str, ...] = ()


def rebuild(
    folder: Path, parts: Sequence[Part], clock: Clock, verifies: Verifier | None
) -> Rebuilt:
    """Make a lost or damaged index anew, from duplicate and files, all of it at once.

    Raises `StorageError` storage.in_use while a worker records into the folder; `OSError`.
    """
    if is_read_only(folder):
        return _rebuild_beside(folder, parts, clock, verifies)
    with FileLock(folder / WORKER_LOCK, clock, patience_s=0.0):
        why = damage_of(folder / INDEX_FILE) or _unfinished(folder / INDEX_FILE)
        if not why:
            return Rebuilt("", folder / INDEX_FILE)
        index = open_index(folder, parts, clock, verifies)
        try:
            made = _complete(index, folder, clock, verifies, why, folder / INDEX_FILE)
        finally:
            index.close()
        _give_to_owner(folder)
    return made


def _rebuild_beside(
    folder: Path, parts: Sequence[Part], clock: Clock, verifies: Verifier | None
) -> Rebuilt:
    own, place = folder / INDEX_FILE, place_of(folder)
    why = _damage_beside(own)
    if not why:
        return Rebuilt("", own)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    if place.parent.stat().st_uid != os.getuid():
        raise StorageError(
            "buffer.no_place",
            f"{place.parent} belongs to somebody else.",
            hint="Set TMPDIR to a folder of your own.",
        )
    shutil.rmtree(place, ignore_errors=True)
    scratch = place.with_name(f"{place.name}.new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    index = Index(scratch, parts)
    try:
        found = fill(index, folder, clock, verifies, touches=False)
        made = _complete(index, folder, clock, verifies, why, place / INDEX_FILE, touches=False)
    finally:
        index.close()
    scratch.replace(place)  # whole, or not at all
    return Rebuilt(
        why, made.index_file, made.segments, made.gaps, made.unsigned, tuple(found.refused)
    )


def _complete(
    index: Index,
    folder: Path,
    clock: Clock,
    verifies: Verifier | None,
    why: str,
    index_file: Path,
    *,
    touches: bool = True,
) -> Rebuilt:
    Restoring(folder, index, clock, verifies).run()
    Check(folder, index, clock, touches=touches).run()
    with index.reading() as db:
        segments = db.execute("SELECT count(*) FROM segments").fetchone()[0]
        gaps = db.execute("SELECT count(*) FROM gaps").fetchone()[0]
        taken = db.execute(
            "SELECT count(*) FROM segments WHERE time_quality = 'rebuilt'"
        ).fetchone()[0]
        refused = db.execute(
            "SELECT detail FROM journal WHERE what = 'duplicate-refused' ORDER BY entry_id"
        ).fetchall()
    return Rebuilt(why, index_file, segments, gaps, taken, tuple(row[0] for row in refused))


def _unfinished(index_file: Path) -> str:
    """Return "half made" for an index that was not yet filled to the end when it was stopped."""
    with suppress(StorageError, DatabaseError), closing(open_reader(index_file)) as db:
        if db.execute("SELECT 1 FROM to_restore").fetchone() is not None:
            return "half made"
    return ""


def _damage_beside(index_file: Path) -> str:
    """As `damage_of`, for a file on a disk where SQLite can open nothing with a log beside it."""
    if not index_file.exists():
        return "lost"
    with tempfile.TemporaryDirectory(prefix="poleside-") as scratch:
        for suffix in ("", "-wal"):
            with suppress(FileNotFoundError):
                shutil.copyfile(f"{index_file}{suffix}", f"{scratch}/{INDEX_FILE}{suffix}")
        return damage_of(Path(scratch) / INDEX_FILE)


def _give_to_owner(folder: Path) -> None:
    """The agent's user must be able to go on with what root made."""
    owner = folder.stat()
    if os.getuid() == 0 and owner.st_uid != 0:
        for path in (*folder.glob(f"{INDEX_FILE}*"), folder / WORKER_LOCK):
            with suppress(FileNotFoundError):
                os.chown(path, owner.st_uid, owner.st_gid)
