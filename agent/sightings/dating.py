"""What a correction of time moves among the sightings of a camera.

A row belongs to a dating: the boot it was seen in, and the moment of that boot up to which
corrections of time are in its begin. One made later moves the row and the dating's moment in one
transaction: asked again, by whomever, it finds nothing to do.
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


def redate(db: sqlite3.Connection, corrections: Sequence[Correction]) -> int:
    """Move what was dated before each correction; return how many rows were moved, summed up."""
    moved = 0
    for one in sorted(corrections, key=lambda one: one.before_mono_us):
        before = (one.boot_id, one.before_mono_us)
        moved += db.execute(
            "UPDATE sightings SET told_us = coalesce(told_us, begin_us), begin_us = begin_us + ?"
            " WHERE dating IN"
            " (SELECT number FROM datings WHERE boot_id = ? AND corrected_mono_us < ?)",
            (one.shift_us, *before),
        ).rowcount
        db.execute(
            "UPDATE datings SET corrected_mono_us = ?2 WHERE boot_id = ?1"
            " AND corrected_mono_us < ?2",
            before,
        )
    return moved


def forget_unused(db: sqlite3.Connection) -> None:
    """Delete datings that no sighting is of any more."""
    db.execute(
        "DELETE FROM datings WHERE NOT EXISTS"
        " (SELECT 1 FROM sightings WHERE dating = datings.number)"
    )
