"""Which boxes there are and how they do: presence, birth document, last telemetry."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from agent.contract.config import ConfigReport
from agent.contract.info import Info
from agent.contract.presence import State
from agent.contract.telemetry import Telemetry
from agent.contract.topics import BoxAddress
from agent.simulators.center import evidence
from agent.simulators.center.view import BoxView, Session, StreamCount

T = TypeVar("T")
_TWIN_WITHIN = timedelta(minutes=10)
_SESSIONS_KEPT = 100_000
_TWIN_STEPS = 2  # once may be a box that lost its database


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a box may be away, or silent beyond its promise, before it counts as offline.

    `answer_s`: a box that is there says so within this time after the center came. With the
    box's keepalive of 32 s at most, of which the broker allows one and a half and five seconds
    more, nobody is wrong for 60 s.
    """

    away_s: float = 5.0
    silent_s: float = 10.0
    answer_s: float = 30.0


def saw_state(
    connection: sqlite3.Connection, address: BoxAddress, state: State, now: datetime
) -> None:
    """Take a box's state, unless it is old news that waited in a queue."""
    known = _decoded(_row(connection, address)["state"], State)
    if not state.supersedes(known):
        return
    if known is not None and state.online and state.connection < known.connection:
        _step_back(connection, address, now)
    _take_state(connection, address, known, state, now)


def _take_state(
    connection: sqlite3.Connection,
    address: BoxAddress,
    known: State | None,
    state: State,
    now: datetime,
) -> None:
    changed = known is None or known.online != state.online
    connection.execute(
        "UPDATE boxes SET online = ?, state = ?, heard_at = CASE WHEN ? THEN ? ELSE heard_at END,"
        " since = CASE WHEN ? THEN ? ELSE since END WHERE site = ? AND box = ?",
        (
            state.online,
            msgspec.json.encode(state),
            state.online,
            now.isoformat(),
            changed,
            now.isoformat(),
            *_key(address),
        ),
    )
    _keep_session(connection, address, state, now)


def _keep_session(
    connection: sqlite3.Connection, address: BoxAddress, state: State, now: datetime
) -> None:
    """Begin or end a session; a new one ends the one before."""
    at, this = now.isoformat(), (*_key(address), *state.connection)
    if not state.online:
        connection.execute(
            "UPDATE sessions SET until = ? WHERE site = ? AND box = ? AND boot = ? AND conn = ?"
            " AND until IS NULL",
            (at, *this),
        )
        return
    connection.execute(
        "UPDATE sessions SET until = ? WHERE site = ? AND box = ? AND until IS NULL"
        " AND (boot, conn) != (?, ?)",
        (at, *this),
    )
    connection.execute(
        "INSERT INTO sessions (site, box, boot, conn, since) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (site, box, boot, conn) DO UPDATE SET until = NULL",
        (*this, at),
    )
    connection.execute(
        "DELETE FROM sessions WHERE number <= (SELECT max(number) FROM sessions) - ?",
        (_SESSIONS_KEPT,),
    )


def _step_back(connection: sqlite3.Connection, address: BoxAddress, now: datetime) -> None:
    """Connections of one box follow one another; two boxes with one id take turns."""
    connection.execute(
        "UPDATE boxes SET stepped_back_at = ?, steps_back = 1 + CASE WHEN stepped_back_at > ?"
        " THEN steps_back ELSE 0 END WHERE site = ? AND box = ?",
        (now.isoformat(), (now - _TWIN_WITHIN).isoformat(), *_key(address)),
    )


def sessions(connection: sqlite3.Connection, address: BoxAddress, limit: int) -> list[Session]:
    """Return the newest connections of a box, newest first."""
    rows = connection.execute(
        "SELECT * FROM sessions WHERE site = ? AND box = ? ORDER BY number DESC LIMIT ?",
        (*_key(address), limit),
    )
    return [
        Session(row["boot"], row["conn"], datetime.fromisoformat(row["since"]), _time(row["until"]))
        for row in rows
    ]


def saw_config(connection: sqlite3.Connection, address: BoxAddress, report: ConfigReport) -> None:
    """Take what a box made of its settings."""
    _row(connection, address)
    connection.execute(
        "UPDATE boxes SET config = ? WHERE site = ? AND box = ?",
        (msgspec.json.encode(report), *_key(address)),
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
    """Take a health sample; the state in it heals what a late will or a lost message hid.

    A sample comes with QoS 0, so it never waited in a queue: its state is the present one.
    """
    known = _decoded(_row(connection, address)["state"], State)
    if sample.state is not None:
        _take_state(connection, address, known, sample.state, now)
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
    connection: sqlite3.Connection,
    streams: dict[BoxAddress, list[StreamCount]],
    now: datetime,
    patience: Patience,
    listening_since: datetime | None,
) -> list[BoxView]:
    """Return all boxes ever heard of.

    Silence counts from `listening_since` at the earliest; while the center itself is away (None)
    nobody is called silent.
    """
    found = []
    audits = evidence.audit_states(connection)
    for row in connection.execute("SELECT * FROM boxes ORDER BY site, box"):
        address = BoxAddress(row["site"], row["box"])
        found.append(
            BoxView(
                address=address,
                online=_is_online(row, now, patience, listening_since),
                since=_time(row["since"]),
                state=_decoded(row["state"], State),
                info=_decoded(row["info"], Info),
                telemetry=_decoded(row["telemetry"], Telemetry),
                telemetry_at=_time(row["telemetry_at"]),
                streams=tuple(streams.get(address, ())),
                config=_decoded(row["config"], ConfigReport),
                audit=audits.get(address),
                has_twin=_has_twin(row, now),
            )
        )
    return found


def _is_online(
    row: sqlite3.Row, now: datetime, patience: Patience, listening_since: datetime | None
) -> bool:
    state, since, heard = _decoded(row["state"], State), _time(row["since"]), _time(row["heard_at"])
    if state is None or since is None:
        return False
    if not state.online:  # a box that was there a moment ago is most likely back in a moment
        is_short = (now - since).total_seconds() < patience.away_s
        return heard is not None and not state.bye and is_short
    if state.beat_s is None or heard is None or listening_since is None:
        return True
    silent_s = (now - max(heard, listening_since)).total_seconds()
    allowed_s = 1.5 * state.beat_s + patience.silent_s
    if heard < listening_since:  # a will may have died with the broker: who answers is there
        allowed_s = min(allowed_s, patience.answer_s)
    return silent_s < allowed_s


def _has_twin(row: sqlite3.Row, now: datetime) -> bool:
    at = _time(row["stepped_back_at"])
    return at is not None and now - at < _TWIN_WITHIN and row["steps_back"] >= _TWIN_STEPS


def _key(address: BoxAddress) -> tuple[str, str]:
    return address.site, address.box


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
