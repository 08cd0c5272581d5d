"""What is wrong with the box as incidents: one id for each life of a fault, however it flickers.

Faults are levels, found anew every few seconds. One is told after it has held for a moment and
ended once it stayed away; one that comes again and again must stay away longer each time, so that
a loose cable is a few messages an hour and no flood. Runs in the core process.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from agent.contract.events import CapSeverity, CapUrgency, EventKind
from agent.core import log
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.core.db import Database
from agent.events.happening import Happening, stream_of
from agent.events.incidents import Incidents, open_keys

KEY = "fault/"
NOT_RECORDED = "camera.not_recorded"
LOOK_EVERY_S = 5.0
HOLDS_S = 10.0  # with a look at each end and the recorder's own 10 s: told within half a minute
STAYS_AWAY_S = 30.0  # … doubled with each life within the hour
STAYS_AWAY_MOST_S = 900.0
FORGIVEN_S = 3600.0
UPDATE_EVERY_S = 600.0
AT_ONCE = 10  # messages of one look; the rest waits for the next


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault as it is now. `(code, subject)` is its identity, `detail` its sentence."""

    code: str
    subject: str
    detail: str
    since: datetime | None = None

    @property
    def key(self) -> str:
        return f"{KEY}{self.subject}/{self.code}"


@dataclass(slots=True)
class _Life:
    """One fault from its first sight until it is forgiven."""

    trouble: Trouble
    first_s: float
    seen_s: float
    seen_at: datetime
    told: str | None = None  # the detail told last; None: not told, or ended
    told_s: float = 0.0
    lives: int = 0


class BoxFaults(Service):
    """`troubles` is asked every few seconds for what is wrong now and worth an event."""

    name = "events.faults"

    def __init__(
        self,
        db: Database,
        incidents: Incidents,
        troubles: Callable[[], Sequence[Trouble]],
        clock: Clock,
    ) -> None:
        super().__init__(clock)
        self._db, self._incidents, self._troubles = db, incidents, troubles
        self._lives: dict[str, _Life] = {}
        self._log = log.get(self.name)

    def is_told(self, code: str, subject: str) -> bool:
        """Return whether the event of this fault is in the outbox, and not ended yet."""
        life = self._lives.get(Trouble(code, subject, "").key)
        return life is not None and life.told is not None

    async def run(self) -> None:
        await self._take_up()
        while True:
            await self.look(self._troubles())
            self.progressed()
            await self._clock.sleep_s(to_tick_s(self._clock, LOOK_EVERY_S))

    async def look(self, troubles: Sequence[Trouble]) -> None:
        """Tell what has begun, changed or ended."""
        now_s, now = self._clock.monotonic_s(), self._clock.utc_now()
        for trouble in troubles:
            life = self._lives.setdefault(trouble.key, _Life(trouble, now_s, now_s, now))
            if life.told is None and now_s - life.seen_s >= STAYS_AWAY_S:
                life.first_s = now_s
            life.trouble, life.seen_s, life.seen_at = trouble, now_s, now
        here = {trouble.key for trouble in troubles}
        due = [life for life in self._lives.values() if self._is_due(life, here, now_s)]
        for life in due[:AT_ONCE]:
            await self._tell(life, now_s, is_here=life.trouble.key in here)
        self._lives = {
            key: life
            for key, life in self._lives.items()
            if key in here or life.told is not None or now_s - life.seen_s < FORGIVEN_S
        }

    def _is_due(self, life: _Life, here: set[str], now_s: float) -> bool:
        if life.trouble.key in here:
            if life.told is None:
                return now_s - life.first_s >= HOLDS_S
            return life.told != life.trouble.detail and now_s - life.told_s >= UPDATE_EVERY_S
        away_s = min(STAYS_AWAY_S * 2 ** max(0, life.lives - 1), STAYS_AWAY_MOST_S)
        return life.told is not None and now_s - life.seen_s >= away_s

    async def _tell(self, life: _Life, now_s: float, *, is_here: bool) -> None:
        what = self._happening(life)
        if is_here:
            await self._db.run(lambda c: self._incidents.begin(c, what))
            life.lives += life.told is None
            life.told, life.told_s = life.trouble.detail, now_s
            self._log.warning("fault told", code=life.trouble.code, subject=life.trouble.subject)
        else:
            ended = replace(what, at=life.seen_at, mono_s=now_s, reason="over")
            await self._db.run(lambda c: self._incidents.end(c, ended))
            life.told = None

    async def _take_up(self) -> None:
        """Go on with the incidents of an earlier core: they hold, or end like any other."""
        now_s, now = self._clock.monotonic_s(), self._clock.utc_now()
        for key in await self._db.run(_open_faults):
            subject, _, code = key.removeprefix(KEY).rpartition("/")
            known = Trouble(code, subject, "")
            self._lives[key] = _Life(known, now_s, now_s, now, told="", told_s=now_s, lives=1)

    def _happening(self, life: _Life) -> Happening:
        trouble = life.trouble
        not_recorded = trouble.code == NOT_RECORDED
        kind = EventKind.NOT_RECORDED if not_recorded else EventKind.BOX_FAULT
        return Happening(
            key=trouble.key,
            subject=trouble.subject.removeprefix("camera/"),
            kind=kind,
            at=trouble.since or self._clock.utc_now(),
            mono_s=life.first_s if life.told is None else self._clock.monotonic_s(),
            tq=self._clock.quality(),
            stream=stream_of(kind),
            detail=trouble.detail or None,
            code=trouble.code,
            severity=CapSeverity.SEVERE if not_recorded else CapSeverity.MODERATE,
            urgency=CapUrgency.IMMEDIATE if not_recorded else CapUrgency.EXPECTED,
        )


def _open_faults(connection: sqlite3.Connection) -> list[str]:
    return open_keys(connection, KEY)
