"""The tables of `sightings.db`, and how they are written: all of a thing or nothing of it.

`datings` tells how the times of sightings came about: in which boot, and up to which moment of it
corrections of time are in them. `told_us` is when a sighting began as it was told at first, where
that is another time than the one it is found by now. Rows of before have neither.
"""

import sqlite3

from agent.core.errors import StorageError

MIGRATIONS = (
    """
    CREATE TABLE sightings (
        id INTEGER PRIMARY KEY, begin_us INTEGER NOT NULL, lasts_ms INTEGER NOT NULL,
        track INTEGER NOT NULL, label TEXT NOT NULL, upper INTEGER NOT NULL,
        lower INTEGER NOT NULL, bag INTEGER NOT NULL, direction INTEGER NOT NULL,
        height INTEGER NOT NULL, score INTEGER NOT NULL, cells INTEGER NOT NULL,
        way BLOB NOT NULL, speed INTEGER, model TEXT);
    CREATE INDEX sightings_by_look ON sightings (label, upper, lower, begin_us, cells);
    CREATE INDEX sightings_by_time ON sightings (label, begin_us, cells, lower);
    CREATE TABLE thumbnails (id INTEGER PRIMARY KEY, jpeg BLOB NOT NULL);
    """,
    """
    ALTER TABLE sightings ADD COLUMN hat INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE sightings ADD COLUMN ground BLOB;
    """,
    """
    CREATE TABLE datings (
        number INTEGER PRIMARY KEY, boot_id TEXT NOT NULL, corrected_mono_us INTEGER NOT NULL);
    ALTER TABLE sightings ADD COLUMN dating INTEGER;
    ALTER TABLE sightings ADD COLUMN told_us INTEGER;
    CREATE INDEX sightings_by_dating ON sightings (dating);
    """,
)


class Transaction:
    """All of it or nothing. Raises `StorageError`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._run("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if error is None:
            self._run("COMMIT")
            return
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise _unusable(error) from error

    def _run(self, statement: str) -> None:
        try:
            self._db.execute(statement)
        except sqlite3.Error as error:
            raise _unusable(error) from error


def _unusable(error: sqlite3.Error) -> StorageError:
    return StorageError(
        "storage.sightings",
        f"Sightings can't be kept: {error}.",
        hint="Free space on the disk or check it for errors.",
        retryable=True,
    )
