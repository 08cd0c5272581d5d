"""How old what waits for the center may become; given up then, like what has no room.

Rows bear no wall time: once an hour it is noted up to which number each stream had come. Only a
synchronised clock is believed: nothing is noted before it was synchronised in this run, nothing
given up while it is not. Alarms and audit entries never age.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.contract.events import StreamName, TimeQuality
from agent.core.clock import Clock
from agent.outbox import eviction

LOOK_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class MaxAge:
    """In days: hourly and daily summaries, updates of events, and other events."""

    telemetry: float = 30.0
    updates: float = 30.0
    events: float = 90.0


class Ages:
    """Notes ages and gives up what is too old, inside the transactions that queue records."""

    def __init__(self, clock: Clock, most: MaxAge) -> None:
        self._clock, self._looked_mono_s = clock, float("-inf")
        self._was_set = False
        self._bounds = (
            (StreamName.TELEMETRY, "1", timedelta(days=most.telemetry)),
            (StreamName.EVENT, "phase = 'update'", timedelta(days=most.updates)),
            (StreamName.EVENT, "1", timedelta(days=most.events)),
        )

    def look(self, connection: sqlite3.Connection) -> None:
        """Once an hour: give up what is too old, a part at a time; note how far the streams are."""
        now_s = self._clock.monotonic_s()
        if now_s - self._looked_mono_s < LOOK_EVERY_S:
            return
        quality = self._clock.quality()
        is_set = quality is TimeQuality.NTP
        # A clock chip may be years ahead or behind: it is believed after a synchronisation only.
        self._was_set = self._was_set or is_set
        if not self._was_set or quality is TimeQuality.UNSYNCED:
            return
        now = self._clock.utc_now()
        if is_set and not self._give_up(connection, now):
            return  # the next record brings the next part
        self._looked_mono_s = now_s
        _note(connection, now)

    def _give_up(self, connection: sqlite3.Connection, now: datetime) -> bool:
        """Give up a part of what is too old; return whether that was the last one."""
        for stream, which, age in self._bounds:
            upto = _queued_before(connection, stream, now - age)
            if upto and not eviction.give_up_to(connection, stream, which, upto):
                return False
        return True


def _queued_before(connection: sqlite3.Connection, stream: StreamName, at: datetime) -> int:
    """Return up to which number a stream had come by then; 0 when that is not known."""
    row = connection.execute(
        "SELECT max(upto) FROM outbox_ages WHERE stream = ? AND at <= ?",
        (stream.value, at.isoformat(timespec="seconds")),
    ).fetchone()
    return int(row[0] or 0)


def _note(connection: sqlite3.Connection, now: datetime) -> None:
    connection.execute(
        "INSERT INTO outbox_ages SELECT stream, next_seq - 1, ? FROM outbox_heads"
        " WHERE stream IN ('e', 't') AND next_seq - 1 > acked",
        (now.isoformat(timespec="seconds"),),
    )
    connection.execute(
        "DELETE FROM outbox_ages WHERE upto <="
        " (SELECT acked FROM outbox_heads h WHERE h.stream = outbox_ages.stream)"
    )
