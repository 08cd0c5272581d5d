"""Once a day, for each camera: the ledger's summary, signed by the box, on its way to the center.

A day is told once, some minutes after it ended (UTC); days missed while the box was off are told
when it is back, as far as the ledger still knows them.
"""

import asyncio
import base64
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path

import msgspec

from agent.buffer import ledger
from agent.buffer.index import INDEX_FILE
from agent.buffer.reading import camera_folder
from agent.contract.coverage import Coverage, CoverageRecord
from agent.contract.events import StreamName
from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.db import Database, Part
from agent.core.errors import StorageError
from agent.core.ids import new_ulid
from agent.core.sqlite import open_reader
from agent.evidence.box_key import BoxKey
from agent.outbox.writer import Outbox

LOOK_EVERY_S = 60.0
AFTER_MIDNIGHT = timedelta(minutes=5)  # the last segment of the day is closed by then
DAYS_BACK = 7

PART = Part(
    "coverage",
    [
        "CREATE TABLE coverage_told (camera_id TEXT, day TEXT, PRIMARY KEY (camera_id, day))"
        " WITHOUT ROWID"
    ],
)


class CoverageReporter(Service):
    """Runs in the core. `cameras` are the ids as the settings have them now."""

    name = "coverage"

    def __init__(
        self,
        clock: Clock,
        db: Database,
        outbox: Outbox,
        key: Callable[[], BoxKey],
        source: str,
        data_dir: Path,
        cameras: Callable[[], list[str]],
    ) -> None:
        super().__init__(clock)
        self._db, self._outbox, self._key = db, outbox, key
        self._source, self._data_dir, self._cameras = source, data_dir, cameras
        self._log = log.get(self.name)

    async def run(self) -> None:
        while True:
            await self.tell_what_is_due()
            self.progressed()
            await self._clock.sleep_s(LOOK_EVERY_S)

    async def tell_what_is_due(self) -> None:
        """Queue the summary of each ended day that was not told yet."""
        today = (self._clock.utc_now() - AFTER_MIDNIGHT).date()
        days = [today - timedelta(days=back) for back in range(DAYS_BACK, 0, -1)]
        for camera_id in self._cameras():
            told = await self._db.run(partial(_told, camera_id=camera_id))
            for day in days:
                if day.isoformat() not in told:
                    await self._tell(camera_id, day)

    async def _tell(self, camera_id: str, day: date) -> None:
        folder = camera_folder(self._data_dir, camera_id)
        data = await asyncio.to_thread(_coverage, folder, camera_id, day)
        if data is None:
            return
        key = await asyncio.to_thread(self._key)
        signature = base64.urlsafe_b64encode(key.sign(data.to_sign())).rstrip(b"=").decode()
        now = self._clock.utc_now()
        record_id = new_ulid(now)

        def build(seq: int) -> bytes:
            record = CoverageRecord(
                id=record_id,
                source=self._source,
                subject=camera_id,
                time=now,
                seq=seq,
                epoch=self._outbox.epoch,
                boot=self._outbox.boot,
                tq=self._clock.quality(),
                data=data,
                key=key.public.fingerprint,
                signature=signature,
            )
            return msgspec.json.encode(record)

        def write(connection: sqlite3.Connection) -> None:
            self._outbox.append_in(connection, StreamName.TELEMETRY, build, event_id=record_id)
            connection.execute(
                "INSERT OR IGNORE INTO coverage_told (camera_id, day) VALUES (?, ?)",
                (camera_id, data.day),
            )

        await self._db.run(write)
        self._log.info("day told", camera=camera_id, day=data.day, covered=data.covered)


def _told(connection: sqlite3.Connection, camera_id: str) -> set[str]:
    rows = connection.execute("SELECT day FROM coverage_told WHERE camera_id = ?", (camera_id,))
    return {row["day"] for row in rows}


def _coverage(folder: Path, camera_id: str, day: date) -> Coverage | None:
    """Read one day's coverage; None when the box knew nothing of the camera that day."""
    since = datetime.combine(day, time(), UTC)
    until = since + timedelta(days=1)
    try:
        if not _knows(folder, until):
            return None
        sums = ledger.sum_up(folder, since, until)
    except StorageError:
        return None
    return Coverage(
        camera_id=camera_id,
        day=day.isoformat(),
        minutes=sums.minutes,
        covered=sums.covered,
        frames_stored=sums.frames_stored,
        frames_expected=sums.frames_expected,
        missing_s=sums.missing_s,
        event_only=sums.event_only,
    )


def _knows(folder: Path, until: datetime) -> bool:
    """Whether the camera had been recorded at all before `until`."""
    with closing(open_reader(folder / INDEX_FILE)) as db:
        first = db.execute("SELECT min(minute) FROM minutes").fetchone()[0]
    return first is not None and first * 60 < until.timestamp()
