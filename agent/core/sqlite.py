"""One way to open a SQLite file: WAL, `synchronous=FULL`, numbered migrations, one writer.

FULL because NORMAL loses acknowledged rows at a power cut. Used by the core's `box.db` and by each
camera worker's `index.db`; everybody else opens read-only.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.core.errors import StorageError

BUSY_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Part:
    """One module's tables: SQL scripts, each run once and in order; they only ever add."""

    name: str
    migrations: Sequence[str]


def open_writer(
    path: Path, migrations: Sequence[str], *, page_bytes: int = 4096, is_alone: bool = False
) -> sqlite3.Connection:
    """Open `path` for its only writer and bring its schema up to `len(migrations)`.

    Each migration is one SQL script, run in one transaction; they only ever add (an older version
    must still be able to open the file). `page_bytes` counts for a new file only. `is_alone` lets
    no reader in, and needs no file for them. Raises `StorageError` when the file is damaged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.execute(f"PRAGMA page_size={page_bytes:d}")
        if is_alone:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.row_factory = sqlite3.Row
        _migrate(connection, migrations)
    except sqlite3.DatabaseError as error:
        if connection is not None:
            connection.close()
        raise _unusable(path.name, error) from error
    return connection


def migrate_parts(connection: sqlite3.Connection, parts: Sequence[Part]) -> None:
    """Bring the tables of several modules that share one file up to date, each by its own count.

    Raises `StorageError`; the connection is closed then.
    """
    if not parts:
        return
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_versions"
            " (part TEXT PRIMARY KEY, version INTEGER NOT NULL)"
        )
        for part in parts:
            _migrate_part(connection, part)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise _unusable("the tables", error) from error


def open_reader(
    path: Path, migrations: Sequence[str] = (), parts: Sequence[Part] = ()
) -> sqlite3.Connection:
    """Open `path` read-only, while its writer goes on; `StorageError` when it is not there.

    On a disk that is full or mounted read-only SQLite can't read a WAL file: such a database is
    read from a copy that lasts as long as the connection. So is one that an older version wrote,
    brought up to `migrations` and `parts`.
    """
    try:
        if path.exists() and os.statvfs(path).f_flag & os.ST_RDONLY:
            return _open_copy(path, migrations, parts)
        connection = sqlite3.connect(
            f"file:{path}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None
        )
    except (sqlite3.Error, OSError) as error:
        raise StorageError(
            "storage.no_database",
            f"There is no readable database at {path}.",
            hint="Check the data folder; the agent makes it when it first runs.",
        ) from error
    connection.row_factory = sqlite3.Row
    try:
        if not _is_older(connection, migrations, parts):
            return connection
    except sqlite3.DatabaseError:
        pass  # a full disk has no room for what a reader beside the file needs
    connection.close()
    try:
        return _open_copy(path, migrations, parts)
    except (sqlite3.Error, OSError) as error:
        raise StorageError(
            "storage.no_database",
            f"The database at {path} can't be read: {error}.",
            hint="Look whether the disk is full or broken: `poleside health`, `df`, `dmesg`.",
        ) from error


def _is_older(
    connection: sqlite3.Connection, migrations: Sequence[str], parts: Sequence[Part]
) -> bool:
    if connection.execute("PRAGMA user_version").fetchone()[0] < len(migrations):
        return True
    if not parts:
        return False
    versions = dict(connection.execute("SELECT part, version FROM schema_versions").fetchall())
    return any(versions.get(part.name, 0) < len(part.migrations) for part in parts)


def _open_copy(path: Path, migrations: Sequence[str], parts: Sequence[Part]) -> sqlite3.Connection:
    """Open a copy of the database and its WAL; the copy is gone with the connection."""
    with tempfile.TemporaryDirectory(prefix="poleside-") as folder:
        copy = Path(folder) / path.name
        shutil.copyfile(path, copy)
        wal = path.with_name(path.name + "-wal")
        if wal.exists():
            shutil.copyfile(wal, copy.with_name(wal.name))
        connection = sqlite3.connect(copy, isolation_level=None)
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # opens all its files
        connection.row_factory = sqlite3.Row
        _migrate(connection, migrations)
        migrate_parts(connection, parts)
    return connection


def _unusable(what: str, error: sqlite3.Error) -> StorageError:
    return StorageError(
        "storage.database",
        f"The database can't be opened ({what}): {error}.",
        hint="Free space on the disk; if it is damaged, move the file away and restart.",
    )


def _migrate_part(connection: sqlite3.Connection, part: Part) -> None:
    if not part.name.isidentifier():
        raise ValueError(f"`{part.name}` is no name for a part")
    row = connection.execute(
        "SELECT version FROM schema_versions WHERE part = ?", (part.name,)
    ).fetchone()
    version: int = row[0] if row else 0
    for number, script in enumerate(part.migrations[version:], start=version + 1):
        connection.executescript(
            f"BEGIN; {script}; INSERT INTO schema_versions VALUES ('{part.name}', {number})"  # noqa: S608
            f" ON CONFLICT (part) DO UPDATE SET version = {number}; COMMIT;"
        )


def _migrate(connection: sqlite3.Connection, migrations: Sequence[str]) -> None:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    for number, script in enumerate(migrations[version:], start=version + 1):
        connection.executescript(f"BEGIN; {script}; PRAGMA user_version={number}; COMMIT;")
