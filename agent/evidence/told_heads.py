"""The lists of signed heads of which the center was told a digest: kept in `box.db` for clips.

The core writes a list with the record that tells its digest, and drops it when the video is gone.
An export reads those over its clip's heads, and the clip carries them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from agent.contract.evidence import VideoHeads
from agent.core.db import Part
from agent.core.errors import StorageError
from agent.core.sqlite import open_reader

Place = tuple[int, int]
"""A run and the number of a GOP in it: chains are in this order."""

PART = Part(
    "told_heads",
    [
        """
CREATE TABLE told_heads (
    camera_id TEXT NOT NULL, stream TEXT NOT NULL, behind_run INTEGER NOT NULL,
    behind_seq INTEGER NOT NULL, until_run INTEGER NOT NULL, until_seq INTEGER NOT NULL,
    text BLOB NOT NULL);
CREATE INDEX told_heads_by_place ON told_heads (camera_id, stream, until_run, until_seq);
"""
    ],
)


def keep(connection: sqlite3.Connection, told: VideoHeads, behind: Place) -> None:
    """Keep a list whose digest is told in this transaction; it covers what lies `behind`."""
    last = told.heads[-1]
    connection.execute(
        "INSERT INTO told_heads (camera_id, stream, behind_run, behind_seq, until_run, "
        "until_seq, text)"
        " VALUES (?,?,?,?,?,?,?)",
        (told.camera_id, told.stream, *behind, last.run, last.seq, told.to_sign()),
    )


def read_told(
    box_file: Path, camera_id: str, stream: str, heads: Iterable[Place]
) -> tuple[VideoHeads, ...]:
    """Return the lists over these heads, oldest first; none where `box.db` can't be read."""
    places = sorted(heads)
    if not places:
        return ()
    try:
        with closing(open_reader(box_file)) as db:
            rows = db.execute(
                "SELECT text FROM told_heads WHERE camera_id = ? AND stream = ?"
                " AND (until_run, until_seq) >= (?, ?) AND (behind_run, behind_seq) < (?, ?)"
                " ORDER BY until_run, until_seq",
                (camera_id, stream, *places[0], *places[-1]),
            ).fetchall()
            return tuple(msgspec.json.decode(row["text"], type=VideoHeads) for row in rows)
    except (StorageError, sqlite3.Error):
        return ()


def ranges(connection: sqlite3.Connection) -> dict[str, list[tuple[int, Place, Place]]]:
    """Return each camera's lists: the row, behind which place it begins and where it ends."""
    found: dict[str, list[tuple[int, Place, Place]]] = {}
    for row in connection.execute(
        "SELECT camera_id, rowid, behind_run, behind_seq, until_run, until_seq FROM told_heads"
    ):
        found.setdefault(row[0], []).append((row[1], (row[2], row[3]), (row[4], row[5])))
    return found


def has_video(index: sqlite3.Connection, behind: Place, until: Place) -> bool:
    """Say whether a camera's index still chains video of a list."""
    row = index.execute(
        "SELECT 1 FROM segment_gops WHERE (run_id, first_seq) > (?, ?)"
        " AND (run_id, first_seq) <= (?, ?) LIMIT 1",
        (*behind, *until),
    ).fetchone()
    return row is not None


def drop(connection: sqlite3.Connection, rows: Sequence[int]) -> None:
    """Forget lists whose video is gone."""
    connection.executemany("DELETE FROM told_heads WHERE rowid = ?", [(row,) for row in rows])
