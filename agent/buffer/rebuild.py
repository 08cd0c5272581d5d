"""Opens a camera's index; one that is damaged or lost is set aside and made anew from the files.

Only what can't wait is done here: no new run may take a number that files already bear, and
evidence locks come back from their own file. The rows come back by `agent.buffer.check`, in the
background, oldest first.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from agent.buffer import journal
from agent.buffer.check import know_runs_of_files
from agent.buffer.index import INDEX_FILE, Index
from agent.buffer.locks import restore_evidence
from agent.core import log
from agent.core.clock import Clock
from agent.core.errors import StorageError
from agent.core.sqlite import Part

DAMAGED_SUFFIX = ".damaged"


def open_index(folder: Path, parts: Sequence[Part], clock: Clock) -> Index:
    """Return the writer of `folder`'s index. Raises `StorageError` when the disk refuses."""
    path = folder / INDEX_FILE
    why = _damage(path) if path.exists() else "lost"
    if not why:
        try:
            return Index(folder, parts)
        except StorageError as error:
            if type(error.__cause__) is not sqlite3.DatabaseError:  # its kinds: full, locked, …
                raise
            why = str(error.__cause__)
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            file = path.with_name(path.name + suffix)
            file.replace(path.with_name(f"{path.name}{DAMAGED_SUFFIX}{suffix}"))
    index = Index(folder, parts)
    runs = know_runs_of_files(index, folder)
    locks = restore_evidence(index, folder)
    if runs or why != "lost":
        log.get("buffer.rebuild").error("index made anew", why=why, runs=runs, locks=locks)
        with index.transaction() as db:
            journal.note(db, clock.utc_now(), "index-rebuilt", INDEX_FILE, why)
    return index


def _damage(path: Path) -> str:
    """Return what is wrong with a database, empty when it is whole."""
    try:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            answer = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return ""  # not damaged but refused: opening it says why
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if answer == ("ok",) else str(answer[0])
