"""Which boxes there are and how they do: presence, birth document, last telemetry."""

import sqlite3
from datetime import datetime
from typing import TypeVar

import msgspec

from agent.contract.info import Info
from agent.contract.presence import State
from agent.contract.telemetry import Telemetry
from agent.contract.topics import BoxAddress
from agent.simulators.center.view import BoxView, StreamCount

T = TypeVar("T")


def saw_state(
    connection: sqlite3.Connection, address: BoxAddress, state: State, now: datetime
) -> None:
    """Take a box's state, unless it is the will of an older connection."""
    row = _row(connection, address)
    known = _decoded(row["state"], State)
    if not state.supersedes(known):
        return
    changed = known is None or known.online != state.online
    connection.execute(
        "UPDATE boxes SET online = ?, state = ?, since = CASE WHEN ? THEN ? ELSE since END"
        " WHERE site = ? AND box = ?",
        (
            state.online,
            msgspec.json.encode(state),
            changed,
            now.isoformat(),
            address.site,
            address.box,
        ),
    )


def saw_info(connection: sqlite3.Connection, address: BoxAddress, info: Info) -> None:
    """Take a box's birth document."""
    _row(connection, address)
    connection.execute(
        "UPDATE boxes SET info = ? WHERE site = ? AND box = ?",
        (msgspec.json.encode(info), address.site, address.box),
    )


def saw_telemetry(
    connection: sqlite3.Connection, address: BoxAddress, sample: Telemetry, now: datetime
) -> None:
    """Take a health sample; the state in it heals what a late will or a lost message hid."""
    if sample.state is not None:
        saw_state(connection, address, sample.state, now)
    _row(connection, address)
    connection.execute(
        "UPDATE boxes SET telemetry = ?, telemetry_at = ? WHERE site = ? AND box = ?",
        (msgspec.json.encode(sample), now.isoformat(), address.site, address.box),
    )


def state_of(connection: sqlite3.Connection, address: BoxAddress) -> State | None:
    """Return the last state of a box."""
    row = connection.execute(
        "SELECT state FROM boxes WHERE site = ? AND box = ?", (address.site, address.box)
    ).fetchone()
    return None if row is None else _decoded(row["state"], State)


def views(
    connection: sqlite3.Connection, streams: dict[BoxAddress, list[StreamCount]]
) -> list[BoxView]:
    """Return all boxes ever heard of."""
    found = []
    for row in connection.execute("SELECT * FROM boxes ORDER BY site, box"):
        address = BoxAddress(row["site"], row["box"])
        found.append(
            BoxView(
                address=address,
                online=bool(row["online"]),
                since=_time(row["since"]),
                state=_decoded(row["state"], State),
                info=_decoded(row["info"], Info),
                telemetry=_decoded(row["telemetry"], Telemetry),
                telemetry_at=_time(row["telemetry_at"]),
                streams=tuple(streams.get(address, ())),
            )
        )
    return found


def _row(connection: sqlite3.Connection, address: BoxAddress) -> sqlite3.Row:
    connection.execute(
        "INSERT OR IGNORE INTO boxes (site, box) VALUES (?, ?)", (address.site, address.box)
    )
    row: sqlite3.Row = connection.execute(
        "SELECT * FROM boxes WHERE site = ? AND box = ?", (address.site, address.box)
    ).fetchone()
    return row


def _decoded(body: bytes | None, kind: type[T]) -> T | None:
    return None if body is None else msgspec.json.decode(body, type=kind)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
