"""The center's book of boxes to be: codes, who asked, who was let in, which certificates are good.

`enrolment.db` in the center's data folder. The service and the command line each open it for a
moment; SQLite keeps them apart. All times UTC; what must outlive a restart is here, wrong guesses
as well.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from agent.contract.enrolment import CodeKey
from agent.contract.topics import BoxAddress
from agent.core.sqlite import open_writer

_MIGRATIONS = [
    """
CREATE TABLE enrolments (
    name TEXT PRIMARY KEY, label TEXT NOT NULL UNIQUE, key BLOB NOT NULL, good_until TEXT NOT NULL,
    public_key BLOB, asked_at TEXT, refused INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE certificates (
    number INTEGER PRIMARY KEY, serial TEXT NOT NULL UNIQUE, public_key BLOB NOT NULL,
    site TEXT NOT NULL, box TEXT NOT NULL, pem TEXT NOT NULL, ends_at TEXT NOT NULL,
    revoked_at TEXT);
CREATE INDEX certificates_of_key ON certificates (public_key);
CREATE TABLE guesses (
    who TEXT PRIMARY KEY, failures INTEGER NOT NULL, blocked_until TEXT NOT NULL) WITHOUT ROWID;
"""
]
_FREE_GUESSES, _MAX_BLOCK_S = 5, 3600.0
_FORGET_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """One box to be, by the name the code was made for."""

    name: str
    code: CodeKey
    good_until: datetime
    public_key: bytes | None
    is_refused: bool


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate the center gave, and the logical box it speaks for."""

    address: BoxAddress
    pem: str
    ends_at: datetime
    revoked_at: datetime | None


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction on the book at `path`."""
    with closing(open_writer(path, _MIGRATIONS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def put_code(
    connection: sqlite3.Connection, name: str, code: CodeKey, good_until: datetime
) -> None:
    """Keep what was derived from a new code; an older code for `name` is void."""
    connection.execute(
        "INSERT OR REPLACE INTO enrolments (name, label, key, good_until) VALUES (?, ?, ?, ?)",
        (name, code.label, code.key, good_until.isoformat()),
    )


def entries(connection: sqlite3.Connection) -> list[Entry]:
    return [_entry(row) for row in connection.execute("SELECT * FROM enrolments ORDER BY name")]


def entry_named(connection: sqlite3.Connection, name: str) -> Entry | None:
    row = connection.execute("SELECT * FROM enrolments WHERE name = ?", (name,)).fetchone()
    return None if row is None else _entry(row)


def entry_labelled(connection: sqlite3.Connection, label: str) -> Entry | None:
    row = connection.execute("SELECT * FROM enrolments WHERE label = ?", (label,)).fetchone()
    return None if row is None else _entry(row)


def bind_key(connection: sqlite3.Connection, name: str, public_key: bytes, now: datetime) -> None:
    """Tie a code to the first key that came with it: from now on it is good for no other."""
    connection.execute(
        "UPDATE enrolments SET public_key = ?, asked_at = ? WHERE name = ?",
        (public_key, now.isoformat(), name),
    )


def refuse(connection: sqlite3.Connection, name: str) -> None:
    connection.execute("UPDATE enrolments SET refused = 1 WHERE name = ?", (name,))


def add_certificate(
    connection: sqlite3.Connection, certificate: x509.Certificate, address: BoxAddress
) -> Issued:
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    connection.execute(
        "INSERT INTO certificates (serial, public_key, site, box, pem, ends_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (
            str(certificate.serial_number),
            certificate.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
            address.site,
            address.box,
            pem,
            certificate.not_valid_after_utc.isoformat(),
        ),
    )
    return Issued(address, pem, certificate.not_valid_after_utc, None)


def newest_for_key(connection: sqlite3.Connection, public_key: bytes) -> Issued | None:
    """Return the newest certificate for a key, revoked or not."""
    row = connection.execute(
        "SELECT * FROM certificates WHERE public_key = ? ORDER BY number DESC LIMIT 1",
        (public_key,),
    ).fetchone()
    return None if row is None else _issued(row)


def certificates_of_box(connection: sqlite3.Connection, box: str) -> list[Issued]:
    """Return all that speak, or spoke, for a logical box; newest first."""
    rows = connection.execute(
        "SELECT * FROM certificates WHERE box = ? ORDER BY number DESC", (box,)
    )
    return [_issued(row) for row in rows]


def revoke_box(connection: sqlite3.Connection, box: str, now: datetime) -> int:
    """Revoke all certificates of a logical box; return how many were good until now."""
    return connection.execute(
        "UPDATE certificates SET revoked_at = ? WHERE box = ? AND revoked_at IS NULL",
        (now.isoformat(), box),
    ).rowcount


def revoked(connection: sqlite3.Connection) -> list[tuple[int, datetime]]:
    """Return the revoked serial numbers, each with when."""
    rows = connection.execute("SELECT * FROM certificates WHERE revoked_at IS NOT NULL")
    return [(int(row["serial"]), datetime.fromisoformat(row["revoked_at"])) for row in rows]


def blocked_s(connection: sqlite3.Connection, who: str, now: datetime) -> float:
    """Return for how many seconds `who` must still wait after wrong guesses."""
    row = connection.execute("SELECT blocked_until FROM guesses WHERE who = ?", (who,)).fetchone()
    if row is None:
        return 0.0
    return max(0.0, (datetime.fromisoformat(row["blocked_until"]) - now).total_seconds())


def count_wrong_guess(connection: sqlite3.Connection, who: str, now: datetime) -> None:
    """A wrong guess: the first few are free, then each doubles the wait, over restarts too."""
    forget = (now - _FORGET_AFTER).isoformat()
    connection.execute("DELETE FROM guesses WHERE blocked_until < ?", (forget,))
    row = connection.execute("SELECT failures FROM guesses WHERE who = ?", (who,)).fetchone()
    failures = 1 + (0 if row is None else row["failures"])
    over = failures - _FREE_GUESSES
    wait_s = 0.0 if over < 0 else min(_MAX_BLOCK_S, 2.0 ** min(over, 30))
    until = (now + timedelta(seconds=wait_s)).isoformat()
    connection.execute("INSERT OR REPLACE INTO guesses VALUES (?, ?, ?)", (who, failures, until))


def _entry(row: sqlite3.Row) -> Entry:
    return Entry(
        row["name"],
        CodeKey(row["label"], row["key"]),
        datetime.fromisoformat(row["good_until"]),
        row["public_key"],
        bool(row["refused"]),
    )


def _issued(row: sqlite3.Row) -> Issued:
    at = row["revoked_at"]
    return Issued(
        BoxAddress(row["site"], row["box"]),
        row["pem"],
        datetime.fromisoformat(row["ends_at"]),
        None if at is None else datetime.fromisoformat(at),
    )
