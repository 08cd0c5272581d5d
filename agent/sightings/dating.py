"""What a correction of time moves among the sightings of a camera.

A row belongs to a dating: the boot it was seen in, and the moment of that boot up to which
corrections of time are in its begin. One made later moves the row, and to another dating, in one
transaction: asked again, by whomever, it finds nothing to do. A month of rows is moved in slices.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dating:
    """Times of this boot, with the corrections made in it up to `corrected_mono_us`."""

    boot_id: str
    corrected_mono_us: int


@dataclass(frozen=True, slots=True)
class Correction:
    """Times given in a boot before this monotonic moment are to be later by `shift_us`."""

    boot_id: str
    before_mono_us: int
    shift_us: int


def number_of(db: sqlite3.Connection, dating: Dating) -> int:
    """Note a dating and return its number."""
    cursor = db.execute(
        "INSERT INTO datings (boot_id, corrected_mono_us) VALUES (?,?)",
        (dating.boot_id, dating.corrected_mono_us),
    )
    return int(cursor.lastrowid or 0)


def redate(db: sqlite3.Connection, corrections: Sequence[Correction], most_rows: int) -> int:
    """Move rows that were dated before a correction, so many at most; return how many moves.

    0: none is left. Who is moved by one correction is of a dating that the next one finds.
    """
    moved = 0
    for one in sorted(corrections, key=lambda one: one.before_mono_us):
        for (number,) in db.execute(
            "SELECT number FROM datings WHERE boot_id = ? AND corrected_mono_us < ?",
            (one.boot_id, one.before_mono_us),
        ).fetchall():
            moved += _move(db, number, one, most_rows - moved)
            if moved >= most_rows:
                return moved
    return moved


def _move(db: sqlite3.Connection, number: int, by: Correction, most_rows: int) -> int:
    """Move rows of a dating; once none is left, it is gone."""
    count = db.execute(
        "UPDATE sightings SET told_us = coalesce(told_us, begin_us), begin_us = begin_us + ?,"
        " dating = ? WHERE id IN (SELECT id FROM sightings WHERE dating = ? LIMIT ?)",
        (by.shift_us, _known(db, Dating(by.boot_id, by.before_mono_us)), number, most_rows),
    ).rowcount
    if count < most_rows:
        db.execute("DELETE FROM datings WHERE number = ?", (number,))
    return count


def _known(db: sqlite3.Connection, dating: Dating) -> int:
    row = db.execute(
        "SELECT number FROM datings WHERE boot_id = ? AND corrected_mono_us = ?",
        (dating.boot_id, dating.corrected_mono_us),
    ).fetchone()
    return int(row[0]) if row else number_of(db, dating)


def forget_unused(db: sqlite3.Connection) -> None:
    """Delete datings that no sighting is of any more."""
    db.execute(
        "DELETE FROM datings WHERE NOT EXISTS"
        " (SELECT 1 FROM sightings WHERE dating = datings.number)"
    )
