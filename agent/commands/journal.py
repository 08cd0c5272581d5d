"""Every order and what came of it, on the disk before anything happens.

`executing` is written before the effect, the final state after it. The same id again is answered
from here. After a restart, what was `executing` is `unknown`, unless doing it twice does no harm.
"""

import sqlite3
from dataclasses import dataclass

import msgspec

from agent.contract.commands import Command, Reply, ReplyState
from agent.core.db import Part

EXECUTING = "executing"
_KEEP_AFTER_EXP_S = 3600  # longer than any center retries

PART = Part(
    "commands",
    [
        """
CREATE TABLE commands (
    id TEXT PRIMARY KEY, op TEXT NOT NULL, state TEXT NOT NULL, exp INTEGER NOT NULL,
    command BLOB NOT NULL, reply BLOB) WITHOUT ROWID;
CREATE INDEX commands_executing ON commands (state) WHERE state = 'executing';
"""
    ],
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A journalled command; `reply` is None while it is executing."""

    command: Command
    reply: Reply | None


def find(connection: sqlite3.Connection, command_id: str) -> Entry | None:
    """Return what is known of a command."""
    row = connection.execute(
        "SELECT command, reply FROM commands WHERE id = ?", (command_id,)
    ).fetchone()
    return None if row is None else _entry(row)


def begin(connection: sqlite3.Connection, command: Command) -> None:
    """Write down that `command` is about to be executed."""
    connection.execute(
        "INSERT INTO commands (id, op, state, exp, command) VALUES (?, ?, ?, ?, ?)",
        (command.id, command.op, EXECUTING, command.exp, msgspec.json.encode(command)),
    )


def forget(connection: sqlite3.Connection, now_s: int) -> None:
    """Forget what no center asks for again, but nothing that is being executed.

    `now_s` (Unix) must surely have come. It looks at every row.
    """
    connection.execute(
        "DELETE FROM commands WHERE exp < ? AND state <> ?",
        (now_s - _KEEP_AFTER_EXP_S, EXECUTING),
    )


def finish(connection: sqlite3.Connection, reply: Reply) -> None:
    """Write down how it ended."""
    connection.execute(
        "UPDATE commands SET state = ?, reply = ? WHERE id = ?",
        (reply.state.value, msgspec.json.encode(reply), reply.id),
    )


def interrupted(connection: sqlite3.Connection) -> list[Command]:
    """Return the commands that were executing when the process ended."""
    rows = connection.execute(
        "SELECT command, reply FROM commands WHERE state = ? ORDER BY id", (EXECUTING,)
    )
    return [_entry(row).command for row in rows]


def unknown(command_id: str) -> Reply:
    """Return the honest answer for a command that a restart interrupted."""
    return Reply(
        id=command_id,
        state=ReplyState.UNKNOWN,
        code="command.interrupted",
        message="The box restarted while it was done; it may or may not have taken effect.",
        hint="Look at the camera, then order again if needed.",
    )


def _entry(row: sqlite3.Row) -> Entry:
    reply = None if row["reply"] is None else msgspec.json.decode(row["reply"], type=Reply)
    return Entry(msgspec.json.decode(row["command"], type=Command), reply)
