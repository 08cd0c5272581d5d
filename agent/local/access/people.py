"""The people a box knows: name, role, cameras, and what their passwords are checked with.

In `box.db`; there is none until the box is claimed, so no box has a default password.
"""

import hashlib
import hmac
import re
import secrets
import sqlite3
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct

from agent.core.db import Part
from agent.core.errors import PolesideError

PART = Part(
    "page_access",
    [
        """
CREATE TABLE page_people (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, cameras TEXT NOT NULL, verifier TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE page_guesses (who TEXT PRIMARY KEY, failures INTEGER NOT NULL) WITHOUT ROWID;
"""
    ],
)

ALL_CAMERAS: Final = "*"
LEAST_PASSWORD, MOST_PASSWORD = 10, 256  # characters
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
# scrypt with 16 MiB, what libsodium calls interactive: guesses at the page wait anyway, and who has
# the disk has the recordings without it.
_N, _R, _P = 2**14, 8, 1


class Role(StrEnum):
    """What a person is to this box. `visitor`: nobody known, where the page is open to read."""

    TECHNICIAN = "technician"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    VISITOR = "visitor"


class AccessError(PolesideError):
    """Somebody may not come in, or not do this. `wait_s`: how long a guesser has to wait."""

    def __init__(self, code: str, message: str, *, hint: str = "", wait_s: float = 0.0) -> None:
        super().__init__(code, message, hint=hint)
        self.wait_s = wait_s


class Person(Struct, frozen=True, kw_only=True):
    """Somebody who may come in; `cameras` are those he may see, `*` all of them."""

    name: str
    role: Role
    cameras: tuple[str, ...] = (ALL_CAMERAS,)

    def sees(self, camera_id: str | None) -> bool:
        """Say whether a camera's things are his to see; None is the box itself."""
        return ALL_CAMERAS in self.cameras or camera_id in self.cameras

    def covers(self, other: "Person") -> bool:
        """Say whether all that `other` may see is this one's to see, too."""
        return ALL_CAMERAS in self.cameras or set(other.cameras) <= set(self.cameras)


VISITOR: Final = Person(name="", role=Role.VISITOR)


def check_name(name: str) -> str:
    """Return `name` if a person may have it. Raises `AccessError` access.name."""
    if _NAME.fullmatch(name):
        return name
    raise AccessError("access.name", "A name has up to 32 of a-z, 0-9, dot, dash.")


def verifier_of(password: str) -> str:
    """Return what `password` is checked with from now on."""
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}:{_digest(password, salt).hex()}"


def check_password(password: str) -> None:
    """Raise `AccessError` access.password when nobody should have this password."""
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise AccessError(
            "access.password", f"A password has at least {LEAST_PASSWORD} characters."
        )


def is_right(password: str, verifier: str) -> bool:
    """Check a password; takes as long without a verifier (""), which is never right."""
    salt, _, digest = (verifier or "00" * 16 + ":").partition(":")
    found = _digest(password[:MOST_PASSWORD], bytes.fromhex(salt))
    return bool(digest) and hmac.compare_digest(found.hex(), digest)


def find(connection: sqlite3.Connection, name: str) -> tuple[Person, str] | None:
    """Return a person and his verifier."""
    row = connection.execute("SELECT * FROM page_people WHERE name = ?", (name,)).fetchone()
    return None if row is None else (_person(row), row["verifier"])


def everybody(connection: sqlite3.Connection) -> list[Person]:
    """Return all people by name."""
    return [_person(row) for row in connection.execute("SELECT * FROM page_people ORDER BY name")]


def put(connection: sqlite3.Connection, person: Person, verifier: str) -> None:
    """Add a person, or give him another role, cameras and password."""
    connection.execute(
        "INSERT OR REPLACE INTO page_people (name, role, cameras, verifier) VALUES (?,?,?,?)",
        (person.name, person.role, msgspec.json.encode(person.cameras).decode(), verifier),
    )


def remove(connection: sqlite3.Connection, name: str) -> bool:
    """Take a person away. Raises `AccessError` access.last_technician: a box keeps one."""
    rest = [person for person in everybody(connection) if person.name != name]
    if not any(person.role is Role.TECHNICIAN for person in rest):
        raise AccessError("access.last_technician", "The box keeps one technician at least.")
    return connection.execute("DELETE FROM page_people WHERE name = ?", (name,)).rowcount == 1


def _person(row: sqlite3.Row) -> Person:
    cameras = msgspec.json.decode(row["cameras"], type=tuple[str, ...])
    return Person(name=row["name"], role=Role(row["role"]), cameras=cameras)


def _digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_N, r=_R, p=_P, maxmem=64 * 2**20)
