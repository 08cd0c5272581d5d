"""Room inside a database's own files: its writer goes on where others have filled the disk.

A file that is given up is anybody's at once; this room nobody else can take. The WAL has its blocks
before they are written, and the database holds free pages, which rows take before the file grows.
Both survive kill -9. Called in the writer's thread, between transactions.
"""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

WAL_BYTES = 3 * 1024 * 1024  # SQLite begins it anew at 1,000 pages; a group of commits goes beyond
FREE_BYTES = 1024 * 1024
_FILLED_AT = 4  # below a quarter of `FREE_BYTES` pages are added
_PLENTY = 8  # times what is taken must be free
_SHARED_BYTES = 64 * 1024  # more than SQLite needs for what a writer shares with readers


def hold(connection: sqlite3.Connection, path: Path) -> None:
    """Take what is missing where there is plenty."""
    with suppress(OSError, sqlite3.Error):
        if is_plenty(path):
            lengthen_wal(path, WAL_BYTES)
            _add_pages(connection)


def lengthen_wal(path: Path, size_bytes: int) -> None:
    """Give the WAL of `path` blocks up to a size; raises `OSError`.

    SQLite stops reading at what it did not write itself, and never shortens the file. No lock is
    lost by closing it here: SQLite's are on the other files.
    """
    with _wal_of(path).open("r+b") as file:
        if os.fstat(file.fileno()).st_size < size_bytes:
            os.posix_fallocate(file.fileno(), 0, size_bytes)


def wal_bytes(path: Path) -> int:
    """Return how long the WAL is; 0 without one."""
    wal = _wal_of(path)
    return wal.stat().st_size if wal.exists() else 0


def is_plenty(path: Path) -> bool:
    """Say whether there is far more than what is taken; False where nobody can tell."""
    with suppress(OSError):
        return _free_bytes(path) >= _PLENTY * (WAL_BYTES + FREE_BYTES)
    return False


def is_too_full_to_share(path: Path) -> bool:
    """Say whether the disk may have no room for what lies beside `path` for its readers."""
    return _free_bytes(path) < _SHARED_BYTES


def _add_pages(connection: sqlite3.Connection) -> None:
    page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
    free_bytes = page_bytes * connection.execute("PRAGMA freelist_count").fetchone()[0]
    if free_bytes * _FILLED_AT >= FREE_BYTES:
        return
    connection.execute("CREATE TABLE IF NOT EXISTS filler (body BLOB NOT NULL)")
    insert = "INSERT INTO filler (body) VALUES (zeroblob(?))"
    connection.execute(insert, (FREE_BYTES - free_bytes,))
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # now the file has them on the disk
    connection.execute("DELETE FROM filler")


def _wal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _free_bytes(path: Path) -> int:
    facts = os.statvfs(path.parent)
    return facts.f_bavail * facts.f_frsize
