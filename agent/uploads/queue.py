"""The files that wait for the center, in `box.db`: what is sent survives kill -9 and reboot.

`waiting` -> `sending` -> `done` | `failed`. A part without an etag is not at the store yet; only
those are sent after a restart. Addresses are secrets: they are kept only until used.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from agent.contract.commands import UploadUrls
from agent.contract.uploads import SentPart, part_count
from agent.core.db import Part

PART = Part(
    "uploads",
    [
        """
CREATE TABLE uploads (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, path TEXT NOT NULL, content_type TEXT NOT NULL,
    bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, priority INTEGER NOT NULL,
    created_at TEXT NOT NULL, deadline TEXT NOT NULL, result BLOB NOT NULL,
    code TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',
    told INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX uploads_open ON uploads (state) WHERE state IN ('waiting', 'sending');
CREATE INDEX uploads_untold ON uploads (told) WHERE told = 0;
CREATE TABLE upload_parts (
    id TEXT NOT NULL, number INTEGER NOT NULL, url TEXT NOT NULL DEFAULT '',
    etag TEXT, PRIMARY KEY (id, number)) WITHOUT ROWID;
CREATE TABLE upload_days (day TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
""",
        "ALTER TABLE uploads ADD COLUMN rests_on TEXT NOT NULL DEFAULT ''",
    ],
)


class State(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether nothing more is sent."""
        return self in (State.DONE, State.FAILED)


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to be sent for the order `id`. `result` is what the order's reply says of it.

    `rests_on` is the grant it may be sent on, "" when it needs none.
    """

    id: str
    path: Path
    content_type: str
    size_bytes: int
    sha256: str
    result: dict[str, Any]
    priority: int = 5
    rests_on: str = ""


@dataclass(frozen=True, slots=True)
class JobPart:
    """One part: where it goes (`url` empty: not known), and the store's `etag` once it has it."""

    number: int
    url: str
    etag: str | None


@dataclass(frozen=True, slots=True)
class Job:
    """One queued file with its parts, as the disk has it."""

    file: NewFile
    state: State
    deadline: datetime
    code: str
    message: str
    parts: tuple[JobPart, ...]

    @property
    def id(self) -> str:
        """The id of the order."""
        return self.file.id

    @property
    def missing(self) -> tuple[JobPart, ...]:
        """The parts that the store has not taken yet."""
        return tuple(part for part in self.parts if part.etag is None)

    @property
    def sent(self) -> tuple[SentPart, ...]:
        """The parts that the store has."""
        return tuple(
            SentPart(number=p.number, etag=p.etag) for p in self.parts if p.etag is not None
        )


def add(
    connection: sqlite3.Connection, file: NewFile, now: datetime, deadline: datetime, url: str
) -> None:
    """Queue a file; `url` is the address of a single PUT, if the order gave one."""
    connection.execute(
        "INSERT INTO uploads (id, state, path, content_type, bytes, sha256, priority, created_at,"
        " deadline, result, rests_on) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            file.id,
            State.WAITING,
            str(file.path),
            file.content_type,
            file.size_bytes,
            file.sha256,
            file.priority,
            now.isoformat(),
            deadline.isoformat(),
            msgspec.json.encode(file.result),
            file.rests_on,
        ),
    )
    total = part_count(file.size_bytes)
    connection.executemany(
        "INSERT INTO upload_parts (id, number, url) VALUES (?, ?, ?)",
        [(file.id, number, url if total == 1 else "") for number in range(1, total + 1)],
    )


def find(connection: sqlite3.Connection, job_id: str) -> Job | None:
    """Return one job, finished or not."""
    row = connection.execute("SELECT * FROM uploads WHERE id = ?", (job_id,)).fetchone()
    return None if row is None else _job(connection, row)


def unfinished(connection: sqlite3.Connection) -> list[Job]:
    """Return the jobs to be sent: the most urgent first, then the oldest."""
    rows = connection.execute(
        "SELECT * FROM uploads WHERE state IN ('waiting', 'sending') ORDER BY priority DESC, id"
    ).fetchall()
    return [_job(connection, row) for row in rows]


def untold(connection: sqlite3.Connection) -> list[Job]:
    """Return the finished jobs of which the center was not told yet."""
    rows = connection.execute(
        "SELECT * FROM uploads WHERE told = 0 AND state IN ('done', 'failed') ORDER BY id"
    ).fetchall()
    return [_job(connection, row) for row in rows]


def queued_bytes(connection: sqlite3.Connection) -> int:
    """Return how much of the disk the queue takes."""
    row = connection.execute(
        "SELECT coalesce(sum(bytes), 0) FROM uploads WHERE state IN ('waiting', 'sending')"
    ).fetchone()
    return int(row[0])


def set_state(
    connection: sqlite3.Connection, job_id: str, state: State, code: str = "", message: str = ""
) -> None:
    """Write down how a job stands; at its end its addresses are forgotten."""
    connection.execute(
        "UPDATE uploads SET state = ?, code = ?, message = ? WHERE id = ?",
        (state, code, message, job_id),
    )
    if state.is_final:
        connection.execute("DELETE FROM upload_parts WHERE id = ?", (job_id,))


def set_told(connection: sqlite3.Connection, job_id: str) -> None:
    """Write down that the center knows how it ended."""
    connection.execute("UPDATE uploads SET told = 1 WHERE id = ?", (job_id,))


def set_url(connection: sqlite3.Connection, job_id: str, number: int, url: str) -> None:
    """Set the address of a part that is not sent yet."""
    connection.execute(
        "UPDATE upload_parts SET url = ? WHERE id = ? AND number = ? AND etag IS NULL",
        (url, job_id, number),
    )


def forget_urls(connection: sqlite3.Connection, job_id: str) -> None:
    """Forget all addresses of a job: given together, they expire together."""
    connection.execute("UPDATE upload_parts SET url = '' WHERE id = ?", (job_id,))


def part_sent(connection: sqlite3.Connection, job_id: str, number: int, etag: str) -> None:
    """Write down that the store has a part."""
    connection.execute(
        "UPDATE upload_parts SET etag = ?, url = '' WHERE id = ? AND number = ?",
        (etag, job_id, number),
    )


def store_has(
    connection: sqlite3.Connection, job_id: str, ranges: Iterable[tuple[int, int]]
) -> None:
    """Believe the store: it has these parts, first to last of each range, and no others."""
    has = [n for first, last in ranges for n in range(first, min(last, 10_000) + 1)]
    numbers = ",".join(map(str, has))  # integers only
    connection.execute(
        f"UPDATE upload_parts SET etag = NULL WHERE id = ? AND number NOT IN ({numbers})",  # noqa: S608
        (job_id,),
    )
    connection.execute(
        "UPDATE upload_parts SET etag = '', url = ''"  # noqa: S608
        f" WHERE id = ? AND etag IS NULL AND number IN ({numbers})",
        (job_id,),
    )


def spend(connection: sqlite3.Connection, day: str, count_bytes: int, budget: int | None) -> bool:
    """Take bytes out of the day's budget before they are sent (negative: give back).

    Counted ahead, a kill in the middle can only count too much. Returns False, and takes nothing,
    when the budget has no room.
    """
    row = connection.execute("SELECT bytes FROM upload_days WHERE day = ?", (day,)).fetchone()
    spent = (int(row[0]) if row else 0) + count_bytes
    if budget is not None and count_bytes > 0 and spent > budget:
        return False
    connection.execute("DELETE FROM upload_days WHERE day < ?", (day,))
    connection.execute(
        "INSERT OR REPLACE INTO upload_days (day, bytes) VALUES (?, ?)", (day, max(0, spent))
    )
    return True


def forget_before(connection: sqlite3.Connection, horizon: datetime) -> list[str]:
    """Forget finished jobs made before `horizon`; return the paths that jobs still to do need."""
    connection.execute(
        "DELETE FROM uploads WHERE state IN ('done', 'failed') AND created_at < ?",
        (horizon.isoformat(),),
    )
    rows = connection.execute("SELECT path FROM uploads WHERE state IN ('waiting', 'sending')")
    return [row[0] for row in rows]


def _job(connection: sqlite3.Connection, row: sqlite3.Row) -> Job:
    parts = connection.execute(
        "SELECT number, url, etag FROM upload_parts WHERE id = ? ORDER BY number", (row["id"],)
    ).fetchall()
    file = NewFile(
        row["id"],
        Path(row["path"]),
        row["content_type"],
        row["bytes"],
        row["sha256"],
        msgspec.json.decode(row["result"]),
        row["priority"],
        row["rests_on"],
    )
    return Job(
        file,
        State(row["state"]),
        datetime.fromisoformat(row["deadline"]),
        row["code"],
        row["message"],
        tuple(JobPart(part["number"], part["url"], part["etag"]) for part in parts),
    )


def take_urls(connection: sqlite3.Connection, order: UploadUrls) -> None:
    """Note what the store has, and where the rest goes."""
    if order.have is not None:
        store_has(connection, order.upload, order.have)
    for part in order.parts:
        set_url(connection, order.upload, part.number, part.url)
