"""Grants in `box.db`, so that kill -9 and reboot end none too late and forget none.

A monotonic time means nothing after a reboot: then what was left when it was written last is all
there is, and only with a proven clock.
"""

import sqlite3
from typing import TypedDict

import msgspec
from msgspec import Struct

from agent.contract.commands import Actor
from agent.contract.grants import MediaGrant
from agent.core.db import Part

PART = Part(
    "grants", ["CREATE TABLE grants (id TEXT PRIMARY KEY, body BLOB, digest BLOB NOT NULL)"]
)

_MOST_REMEMBERED = 2000


class Given(Struct, kw_only=True):
    """A grant that holds: until `until_mono_s` of `boot`. The tallies are of this grant alone."""

    grant: MediaGrant
    by: Actor
    boot: str
    since_mono_s: float
    until_mono_s: float
    left_s: float
    lasted_s: float = 0.0
    bytes: int = 0
    stalls: int = 0


class Told(TypedDict):
    """What is shown of a grant: no relay, no token."""

    grant: str
    incident: str
    audience: str
    reason: str
    status: str
    what: list[str]
    cameras: list[str]
    left_s: float
    bytes: int
    stalls: int


def told(given: Given, left_s: float) -> Told:
    """Return what is shown of a grant that has `left_s` to go."""
    grant = given.grant
    return Told(
        grant=grant.id,
        incident=grant.incident,
        audience=grant.audience,
        reason=grant.reason,
        status=grant.status.value,
        what=[one.value for one in grant.what],
        cameras=list(grant.cameras),
        left_s=round(left_s, 1),
        bytes=given.bytes,
        stalls=given.stalls,
    )


def keep(connection: sqlite3.Connection, given: Given, digest: bytes) -> None:
    """Write a new grant."""
    row = (given.grant.id, msgspec.json.encode(given), digest)
    connection.execute("INSERT INTO grants (id, body, digest) VALUES (?, ?, ?)", row)


def tally(connection: sqlite3.Connection, given: Given) -> None:
    """Write down how far a grant is."""
    row = (msgspec.json.encode(given), given.grant.id)
    connection.execute("UPDATE grants SET body = ? WHERE id = ?", row)


def forget(connection: sqlite3.Connection, grant_id: str) -> None:
    """Let a grant's content go; its id stays known long after the grant can be given again."""
    connection.execute("UPDATE grants SET body = NULL WHERE id = ?", (grant_id,))
    connection.execute(
        "DELETE FROM grants WHERE body IS NULL AND id NOT IN"
        " (SELECT id FROM grants ORDER BY rowid DESC LIMIT ?)",
        (_MOST_REMEMBERED,),
    )


def digest_of(connection: sqlite3.Connection, grant_id: str) -> bytes | None:
    """Return the digest of the grant that has, or had, this id."""
    row = connection.execute("SELECT digest FROM grants WHERE id = ?", (grant_id,)).fetchone()
    return None if row is None else bytes(row["digest"])


def holding(connection: sqlite3.Connection) -> list[Given]:
    """Return the grants that were not reported as ended."""
    rows = connection.execute("SELECT body FROM grants WHERE body IS NOT NULL").fetchall()
    return [msgspec.json.decode(row["body"], type=Given) for row in rows]
