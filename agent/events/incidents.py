"""Incidents with a life: new, update, end, each one record in the outbox, in one transaction.

An incident is known by its key ("camera/rule"): while it is open, what happens under that key is
an update, never a second alarm. Every change and its outbox record are committed together, so a
crash leaves both or neither. Runs in the core process.
"""

import sqlite3
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

import msgspec

from agent.contract.events import (
    EventData,
    EventFile,
    Phase,
    TimeQuality,
)
from agent.core.clock import Clock
from agent.core.db import Part
from agent.core.ids import new_ulid
from agent.events import schema
from agent.events.happening import Happening, stream_by_key
from agent.events.telling import AppendIn, Origin, Telling
from agent.events.weights import worse

KEEP_INCIDENTS = 2_000  # ended ones, for the box's own page

PART = Part(
    "events",
    [
        """
CREATE TABLE incidents (
    event_id TEXT PRIMARY KEY, key TEXT NOT NULL, subject TEXT NOT NULL, kind TEXT NOT NULL,
    started_utc_us INTEGER NOT NULL, ended_utc_us INTEGER, boot INTEGER NOT NULL,
    last_mono_s REAL NOT NULL, most_objects INTEGER NOT NULL, data BLOB NOT NULL, picture BLOB);
CREATE UNIQUE INDEX open_incidents ON incidents (key) WHERE ended_utc_us IS NULL;
CREATE INDEX incidents_by_time ON incidents (started_utc_us);
CREATE TABLE incident_hits (hit_id TEXT PRIMARY KEY, event_id TEXT NOT NULL);
""",
        schema.ALARMS,
        schema.TRIALS,
        schema.STAGES,
    ],
)


class Incidents:
    """The incident tables; every method runs inside the caller's transaction.

    Between two updates of one incident lie at least `update_s`, unless it gets worse; what was
    not told then is told with the next confirmation, or at the end.
    """

    def __init__(self, append: AppendIn, origin: Origin, clock: Clock) -> None:
        self._origin, self._clock = origin, clock
        self._telling = Telling(append, origin, clock)
        self.update_s = 0.0
        self._updated_s: dict[str, float] = {}
        self._untold: set[str] = set()

    @property
    def boot(self) -> int:
        """The number of this boot of the box."""
        return self._origin.boot

    def begin(self, connection: sqlite3.Connection, what: Happening) -> str:
        """Open an incident, or update the open one of this key; return its id.

        The same `hit_id` again changes nothing.
        """
        if what.hit_id is not None and (known := _event_of_hit(connection, what.hit_id)):
            return known
        row = _open_incident(connection, what.key)
        if row is not None:
            event_id: str = row["event_id"]
            self._update(connection, row, what)
        else:
            event_id = what.hit_id or new_ulid(what.at)
            self._open(connection, event_id, what)
        if what.hit_id is not None:
            connection.execute(
                "INSERT INTO incident_hits (hit_id, event_id) VALUES (?, ?)",
                (what.hit_id, event_id),
            )
        return event_id

    def go_on(self, connection: sqlite3.Connection, what: Happening) -> bool:
        """The open incident of this key still holds; more than ever was known is an update.

        Return whether there is one.
        """
        row = _open_incident(connection, what.key)
        if row is None:
            return False
        if self._is_news(row, what):
            self._update(connection, row, what)
        else:
            connection.execute(
                "UPDATE incidents SET last_mono_s = ?, boot = ? WHERE event_id = ?",
                (self._confirmed_s(row, what), self._origin.boot, row["event_id"]),
            )
        return True

    def _is_news(self, row: sqlite3.Row, what: Happening) -> bool:
        if len(what.objects) > row["most_objects"] or row["event_id"] in self._untold:
            return True
        if what.crop is not None:
            return True
        data = msgspec.json.decode(row["data"], type=EventData)
        return what.measures.get("level") != data.measures.get("level")

    def of_hit(self, connection: sqlite3.Connection, hit_id: str) -> str | None:
        """Return the incident a hit has become or joined, None for a new hit."""
        return _event_of_hit(connection, hit_id)

    def is_open(self, connection: sqlite3.Connection, key: str) -> bool:
        """Say whether there is an open incident of this key."""
        return _open_incident(connection, key) is not None

    def end_key(
        self, connection: sqlite3.Connection, key: str, at: datetime, mono_s: float, reason: str
    ) -> None:
        """End the open incident of this key, if there is one, as of `at`."""
        row = _open_incident(connection, key)
        if row is not None:
            self._close(connection, row, at, mono_s, reason, self._clock.quality())

    def end(self, connection: sqlite3.Connection, what: Happening) -> None:
        """End the open incident of this key, if there is one."""
        row = _open_incident(connection, what.key)
        if row is not None:
            self._close(connection, row, what.at, what.mono_s, what.reason or "over", what.tq)

    def end_forgotten(self, connection: sqlite3.Connection, silent_s: float, prefix: str) -> int:
        """End incidents nobody has confirmed for `silent_s`, or since the last boot."""
        now_s, now = self._clock.monotonic_s(), self._clock.utc_now()
        rows = connection.execute(
            "SELECT * FROM incidents WHERE ended_utc_us IS NULL AND key LIKE ? || '%'"
            " AND (boot != ? OR last_mono_s < ?)",
            (prefix, self._origin.boot, now_s - silent_s),
        ).fetchall()
        for row in rows:
            reason = "box-restarted" if row["boot"] != self._origin.boot else "not-confirmed"
            self._close(connection, row, now, now_s, reason, self._clock.quality())
        return len(rows)

    def end_unknown(
        self, connection: sqlite3.Connection, prefix: str, known: Collection[str]
    ) -> None:
        """End incidents whose subject is not among `known` any more."""
        rows = connection.execute(
            "SELECT * FROM incidents WHERE ended_utc_us IS NULL AND key LIKE ? || '%'", (prefix,)
        ).fetchall()
        now_s, now = self._clock.monotonic_s(), self._clock.utc_now()
        for row in rows:
            if row["subject"] not in known:
                self._close(connection, row, now, now_s, "removed", self._clock.quality())

    def attach(self, connection: sqlite3.Connection, event_id: str, file: EventFile) -> None:
        """Bind a file to an incident and tell of it: by an update, or by its end said once more."""
        row = connection.execute(
            "SELECT * FROM incidents WHERE event_id = ?", (event_id,)
        ).fetchone()
        if row is None:  # ended and forgotten meanwhile
            return
        data = msgspec.json.decode(row["data"], type=EventData)
        self.tell_again(connection, row, msgspec.structs.replace(data, files=(*data.files, file)))

    def tell_again(self, connection: sqlite3.Connection, row: sqlite3.Row, data: EventData) -> None:
        """Keep what is known now of an incident and tell it: as an update, or its end once more."""
        connection.execute(
            "UPDATE incidents SET data = ? WHERE event_id = ?",
            (msgspec.json.encode(data), row["event_id"]),
        )
        now, now_s = self._clock.utc_now(), self._clock.monotonic_s()
        what = _word_on(row, data, now, now_s, self._clock.quality())
        phase = Phase.UPDATE if row["ended_utc_us"] is None else Phase.END
        self._telling.tell(connection, row["event_id"], what, phase, data)

    def any_open(self, connection: sqlite3.Connection) -> bool:
        """Say whether an incident is open, of whatever kind."""
        found = connection.execute(
            "SELECT 1 FROM incidents WHERE ended_utc_us IS NULL LIMIT 1"
        ).fetchone()
        return found is not None

    def _confirmed_s(self, row: sqlite3.Row | None, what: Happening) -> float:
        """When it was last confirmed, on this boot's time line.

        A hit kept over a reboot carries a time of another boot, which may lie ahead of now; one
        told late must not make a later confirmation undone.
        """
        confirmed_s = min(what.mono_s, self._clock.monotonic_s())
        if row is None or row["boot"] != self._origin.boot:
            return confirmed_s
        return max(confirmed_s, float(row["last_mono_s"]))

    def _open(self, connection: sqlite3.Connection, event_id: str, what: Happening) -> None:
        data = EventData(
            kind=what.kind,
            rule_id=what.rule_id,
            started_at=what.at,
            objects=what.objects,
            picture=what.picture,
            detail=what.detail,
            code=what.code,
            model=what.model,
            status=self._origin.status,
            urgency=what.urgency,
            severity=what.severity,
            certainty=what.certainty,
            grade=what.grade,
            seen_by=what.seen_by,
            rules=what.rules,
            measures=what.measures,
            crop=what.crop,
            asks=what.asks,
        )
        connection.execute(
            "INSERT INTO incidents (event_id, key, subject, kind, started_utc_us, "
            "ended_utc_us, boot, last_mono_s, most_objects, data, picture)"
            " VALUES (?, ?, ?, ?, ?, NULL, ?, ?, ?, ?, ?)",
            (
                event_id,
                what.key,
                what.subject,
                what.kind.value,
                round(what.at.timestamp() * 1e6),
                self._origin.boot,
                self._confirmed_s(None, what),
                len(what.objects),
                msgspec.json.encode(msgspec.structs.replace(data, picture=None, crop=None)),
                what.picture.jpeg if what.picture else None,
            ),
        )
        self._telling.tell(connection, event_id, what, Phase.NEW, data)
        _forget_old(connection)

    def _update(self, connection: sqlite3.Connection, row: sqlite3.Row, what: Happening) -> None:
        known = msgspec.json.decode(row["data"], type=EventData)
        data = msgspec.structs.replace(
            known,
            objects=what.objects or known.objects,
            detail=what.detail or known.detail,
            code=what.code or known.code,
            rules=tuple(dict.fromkeys((*known.rules, *what.rules))),
            measures=what.measures or known.measures,
            severity=worse(known.severity, what.severity),
        )
        connection.execute(
            "UPDATE incidents SET last_mono_s = ?, boot = ?, data = ?,"
            " most_objects = max(most_objects, ?) WHERE event_id = ?",
            (
                self._confirmed_s(row, what),
                self._origin.boot,
                msgspec.json.encode(data),
                len(what.objects),
                row["event_id"],
            ),
        )
        event_id, now_s = row["event_id"], self._clock.monotonic_s()
        is_due = now_s - self._updated_s.get(event_id, float("-inf")) >= self.update_s
        if not is_due and data.severity is known.severity:
            self._untold.add(event_id)
            return
        self._updated_s[event_id] = now_s
        self._untold.discard(event_id)
        data = msgspec.structs.replace(data, crop=what.crop)
        what = replace(what, kind=data.kind, stream=stream_by_key(row["key"], data.kind))
        self._telling.tell(connection, event_id, what, Phase.UPDATE, data)

    def _close(
        self,
        connection: sqlite3.Connection,
        row: sqlite3.Row,
        at: datetime,
        mono_s: float,
        reason: str,
        tq: TimeQuality,
    ) -> None:
        data = msgspec.json.decode(row["data"], type=EventData)
        ended_at = max(at, data.started_at)
        data = msgspec.structs.replace(data, ended_at=ended_at, end_reason=reason)
        connection.execute(
            "UPDATE incidents SET ended_utc_us = ?, data = ? WHERE event_id = ?",
            (round(ended_at.timestamp() * 1e6), msgspec.json.encode(data), row["event_id"]),
        )
        what = _word_on(row, data, at, mono_s, tq)
        self._updated_s.pop(row["event_id"], None)
        self._untold.discard(row["event_id"])
        self._telling.tell(connection, row["event_id"], what, Phase.END, data)


def _word_on(
    row: sqlite3.Row, data: EventData, at: datetime, mono_s: float, tq: TimeQuality
) -> Happening:
    """Return the envelope of one more word on a known incident."""
    return Happening(
        key=row["key"],
        subject=row["subject"],
        kind=data.kind,
        at=at,
        mono_s=mono_s,
        tq=tq,
        stream=stream_by_key(row["key"], data.kind),
    )


def open_keys(connection: sqlite3.Connection, prefix: str) -> list[str]:
    """Return the keys of the open incidents that begin with `prefix`."""
    rows = connection.execute(
        "SELECT key FROM incidents WHERE ended_utc_us IS NULL AND substr(key, 1, ?) = ?",
        (len(prefix), prefix),
    )
    return [row["key"] for row in rows]


def _open_incident(connection: sqlite3.Connection, key: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM incidents WHERE key = ? AND ended_utc_us IS NULL", (key,)
    ).fetchone()
    return row


def _event_of_hit(connection: sqlite3.Connection, hit_id: str) -> str | None:
    row = connection.execute(
        "SELECT event_id FROM incident_hits WHERE hit_id = ?", (hit_id,)
    ).fetchone()
    return None if row is None else row["event_id"]


def _forget_old(connection: sqlite3.Connection) -> None:
    gone = connection.execute(
        "DELETE FROM incidents WHERE ended_utc_us IS NOT NULL AND rowid <= ("
        " SELECT rowid FROM incidents ORDER BY rowid DESC LIMIT 1 OFFSET ?)",
        (KEEP_INCIDENTS,),
    )
    if gone.rowcount:
        connection.execute(
            "DELETE FROM incident_hits WHERE event_id NOT IN (SELECT event_id FROM incidents)"
        )
