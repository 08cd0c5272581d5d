"""Numbers the boots of this box: a counter in `box.db`, one up for each new kernel boot id."""

import sqlite3

from agent.core.db import Part

PART = Part(
    "boots",
    ["CREATE TABLE boots (boot INTEGER PRIMARY KEY AUTOINCREMENT, boot_id TEXT NOT NULL UNIQUE)"],
)


def number_of(connection: sqlite3.Connection, boot_id: str) -> int:
    """Return the number of the boot with this kernel id; a new one gets the next number."""
    connection.execute("INSERT OR IGNORE INTO boots (boot_id) VALUES (?)", (boot_id,))
    row = connection.execute("SELECT boot FROM boots WHERE boot_id = ?", (boot_id,)).fetchone()
    return int(row["boot"])
