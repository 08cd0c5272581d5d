"""Numbers the boots of this box: a counter in `box.db`, one up for each new kernel boot id."""

import sqlite3

from agent.core.db import Part

PART = Part(
    "boots",
    ["CREATE TABLE boots (boot INTEGER PRIMARY KEY AUTOINCREMENT, boot_id TEXT NOT NULL UNIQUE)"],
)


def number_of(connection: sqlite3.Connection, boot_id: str) -> int:
    """Return the number of the boot with this kernel id; a new one gets the next number."""
    row = _row_of(connection, boot_id)
    if row is None:  # else nothing is written: a core that begins anew can do so on a full disk
        added = connection.execute("INSERT INTO boots (boot_id) VALUES (?)", (boot_id,))
        return int(added.lastrowid or 0)
    return int(row["boot"])


def _row_of(connection: sqlite3.Connection, boot_id: str) -> sqlite3.Row | None:
    query = "SELECT boot FROM boots WHERE boot_id = ?"
    row: sqlite3.Row | None = connection.execute(query, (boot_id,)).fetchone()
    return row
