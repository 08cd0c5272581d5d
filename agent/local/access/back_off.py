"""How long a guesser waits: doubling, counted on the disk, so that no restart begins anew.

Each try is charged before it is looked at, so many at once are no way around. Only a right one
takes the count back. After a start every wait begins again in full: no clock can be set to end it.
A disk that can't be written keeps no technician out: then it is counted in memory.
"""

import sqlite3
from contextlib import suppress
from typing import Final

from agent.core.clock import Clock
from agent.core.db import Database
from agent.core.errors import StorageError
from agent.local.access.people import AccessError

FREE_TRIES: Final = 3
FIRST_S, MOST_S = 5.0, 900.0


class BackOff:
    """Counts by `who`: a person, or the claim."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self._started_s = clock.monotonic_s()
        # The last charge: the count with it, and when. Touched in the database's thread only.
        self._charged: dict[str, tuple[int, float]] = {}
        self._unwritten: dict[str, tuple[int, float]] = {}  # failures and the last, in memory only

    async def charge(self, who: str) -> None:
        """Count one try. Raises `AccessError` access.wait while one has to wait."""
        try:
            left_s = await self._db.run(lambda connection: self._charge(connection, who))
        except StorageError:
            left_s = self._charge_unwritten(who)
        if left_s > 0:
            raise AccessError(
                "access.wait",
                f"Too many wrong tries: wait {left_s:.0f} s.",
                hint="A right try takes the wait away; a restart does not.",
                wait_s=left_s,
            )

    async def forgive(self, who: str) -> None:
        """Forget the failures: it was the right one."""
        self._unwritten.pop(who, None)
        with suppress(StorageError):
            await self._db.run(
                lambda connection: connection.execute(
                    "DELETE FROM page_guesses WHERE who = ?", (who,)
                )
            )

    def _charge(self, connection: sqlite3.Connection, who: str) -> float:
        row = connection.execute("SELECT * FROM page_guesses WHERE who = ?", (who,)).fetchone()
        failures: int = row["failures"] if row else 0
        now_s = self._clock.monotonic_s()
        counted, charged_s = self._charged.get(who, (0, self._started_s))
        was_undone = counted > failures  # on a full disk a call is made again
        left_s = wait_s(failures) - (now_s - charged_s)
        if left_s > 0 and not was_undone:
            return left_s
        self._charged[who] = failures + 1, now_s
        connection.execute(
            "INSERT OR REPLACE INTO page_guesses (who, failures) VALUES (?,?)", (who, failures + 1)
        )
        return 0.0

    def _charge_unwritten(self, who: str) -> float:
        now_s = self._clock.monotonic_s()
        failures, last_s = self._unwritten.get(who, (FREE_TRIES, self._started_s))
        left_s = wait_s(failures) - (now_s - last_s)
        if left_s <= 0:
            self._unwritten[who] = failures + 1, now_s
        return left_s


def wait_s(failures: int) -> float:
    """Return how long after the last of so many failures the next try is looked at."""
    if failures < FREE_TRIES:
        return 0.0
    return min(MOST_S, FIRST_S * 2.0 ** min(failures - FREE_TRIES, 30))
