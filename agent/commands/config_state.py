"""What was decided last on the settings, as `box.db` keeps it over restarts."""

import sqlite3
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct, structs

from agent.contract.config import ConfigProblem, ConfigStatus, Desired
from agent.core.db import Part
from agent.settings.sift import LeftOut

PART = Part("config", ["CREATE TABLE config_state (body BLOB NOT NULL)"])
_OF_KEYS = "settings."  # the code of what is wrong with a key, not with a whole order


class ConfigState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was decided last. While on trial, `good` and `good_local` are what to go back to.

    `waits`: the center's last word if nothing of it fits; an update may know it.
    """

    version: int = 0
    status: ConfigStatus = ConfigStatus.NONE
    errors: tuple[ConfigProblem, ...] = ()
    good: dict[str, Any] | None = None
    good_local: dict[str, Any] | None = None
    worked: tuple[str, ...] = ()
    needs_word: bool = False
    waits: Desired | None = None


def problems_of(left_out: Iterable[LeftOut]) -> tuple[ConfigProblem, ...]:
    """Return what the center is told of what it wants and does not get."""
    return tuple(
        ConfigProblem(path=left.path, code=left.error.code, message=left.error.message)
        for left in left_out
        if not left.is_local
    )


def at_start(state: ConfigState, left_out: Iterable[LeftOut], *, has_some: bool) -> ConfigState:
    """Return what is so now: other keys may fit than before, after an update or a new file.

    `has_some`: something of what the center wants is in effect.
    """
    problems = problems_of(left_out)
    others = tuple(error for error in state.errors if not error.code.startswith(_OF_KEYS))
    if state.waits is not None or (*others, *problems) == state.errors:
        return state
    status = state.status
    if not others:
        status = ConfigStatus.APPLIED
        if problems:
            status = ConfigStatus.PARTLY if has_some else ConfigStatus.REFUSED
    return structs.replace(state, status=status, errors=(*others, *problems))


def state_in(connection: sqlite3.Connection) -> ConfigState:
    """Return what a box's database says of its settings."""
    row = connection.execute("SELECT body FROM config_state").fetchone()
    return ConfigState() if row is None else msgspec.json.decode(row["body"], type=ConfigState)


def write_state(connection: sqlite3.Connection, state: ConfigState) -> None:
    """Store what was decided."""
    connection.execute("DELETE FROM config_state")
    connection.execute("INSERT INTO config_state (body) VALUES (?)", (msgspec.json.encode(state),))
