"""Incident sessions in `box.db`: a kill or a reboot ends none, and none comes back once over.

A monotonic time means nothing after a reboot: then what was left when it was last written is the
most there can be, and with a clock that something vouches for the session's own end counts.
"""

import sqlite3
from datetime import datetime

import msgspec
from msgspec import Struct

from agent.contract.events import TimeQuality
from agent.contract.incidents import IncidentCall
from agent.core.clock import Clock
from agent.core.db import Part

PART = Part(
    "incident_sessions",
    ["CREATE TABLE incident_sessions (id TEXT PRIMARY KEY, seq INTEGER NOT NULL, body BLOB)"],
)
_MOST_REMEMBERED = 256


class KeptLock(Struct, frozen=True, kw_only=True):
    """A camera's video that is kept while it is called up."""

    lock_id: str
    camera_id: str
    since: datetime


class Kept(Struct, kw_only=True):
    """One session as it goes on after a kill: until `until_mono_s` of `boot`."""

    call: IncidentCall
    boot: str
    until_mono_s: float
    left_s: float
    began_at: datetime
    count: int = 0
    locks: tuple[KeptLock, ...] = ()
    ended_at: datetime | None = None  # then only its locks are left to be seen to

    def until_s(self, boot: str, clock: Clock) -> float:
        """Return its end on this boot's monotonic clock."""
        if boot == self.boot:
            return self.until_mono_s
        left_s = self.left_s
        if clock.quality() is not TimeQuality.UNSYNCED:
            left_s = min(left_s, self.call.exp - clock.utc_now().timestamp())
        return clock.monotonic_s() + left_s


def keep(connection: sqlite3.Connection, kept: Kept) -> None:
    """Write how a session stands."""
    row = (kept.call.id, kept.call.seq, msgspec.json.encode(kept))
    connection.execute(
        "INSERT OR REPLACE INTO incident_sessions (id, seq, body) VALUES (?, ?, ?)", row
    )


def end(connection: sqlite3.Connection, call_id: str, seq: int) -> None:
    """Let a session's content go; that it is over stays known longer than its words are good."""
    connection.execute(
        "INSERT OR REPLACE INTO incident_sessions (id, seq, body) VALUES (?, ?, NULL)",
        (call_id, seq),
    )
    connection.execute(
        "DELETE FROM incident_sessions WHERE body IS NULL AND id NOT IN"
        " (SELECT id FROM incident_sessions ORDER BY rowid DESC LIMIT ?)",
        (_MOST_REMEMBERED,),
    )


def holding(connection: sqlite3.Connection) -> list[Kept]:
    """Return the sessions that were not ended, and those with locks to be seen to."""
    rows = connection.execute("SELECT body FROM incident_sessions WHERE body IS NOT NULL")
    return [msgspec.json.decode(row["body"], type=Kept) for row in rows]


def over(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the last word of each session that ended."""
    rows = connection.execute(
        "SELECT id, seq FROM incident_sessions WHERE body IS NULL ORDER BY rowid"
    )
    return {row["id"]: row["seq"] for row in rows}
