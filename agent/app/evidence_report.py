"""What lets the center prove later that a box's past was not rewritten, on its way there.

Once an hour one record for the whole box: a digest of the heads of each camera's chain, its purge
records summed up (those of cameras that are gone as well), the head of the audit chain; and each
key once. Signed, in stream `u`, which the outbox never gives up. In the core.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec

from agent.app import evidence_hour
from agent.app.evidence_hour import Hour
from agent.contract.events import StreamName
from agent.contract.evidence import RECORD_OF, BoxHour, BoxKeyData
from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.db import Database, Part
from agent.core.errors import StorageError
from agent.core.ids import new_ulid
from agent.evidence import told_heads
from agent.evidence.box_key import BoxKey, b64
from agent.evidence.handover import handover_to
from agent.outbox.audit import audit_head
from agent.outbox.writer import Outbox

LOOK_EVERY_S = 60.0
TELL_EVERY = timedelta(hours=1)
_HOUR, _KEY = "hour", "key"

PART = Part(
    "evidence_report",
    [
        "CREATE TABLE evidence_told (what TEXT PRIMARY KEY, mark TEXT NOT NULL,"
        " told_at TEXT NOT NULL) WITHOUT ROWID"
    ],
)


class EvidenceReporter(Service):
    """`key` returns the box's key as it is now, `cameras` the ids as the settings have them."""

    name = "evidence-report"

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
            try:
                await self.tell_what_is_due()
            except OSError as error:
                self._log.error("evidence not told", detail=str(error))
            except StorageError as error:
                self._log.error("evidence not told", code=error.code, detail=error.message)
            self.progressed()
            await self._clock.sleep_s(LOOK_EVERY_S)

    async def tell_what_is_due(self) -> None:
        """Queue what the center was not told yet. Raises `StorageError` without a key."""
        key = await asyncio.to_thread(self._key)
        told = await self._db.run(_told)
        await self._tell_key(key, told)
        last = told.get(_HOUR)
        # A clock that was ahead then must not silence the box until it gets there again.
        if last is None or abs(self._clock.utc_now() - last[1]) >= TELL_EVERY:
            await self._tell_hour(key, told)

    async def _tell_key(self, key: BoxKey, told: "_Told") -> None:
        public = key.public
        if _KEY in told and told[_KEY][0] == public.fingerprint:
            return
        handover = await asyncio.to_thread(handover_to, public, self._data_dir)
        data = BoxKeyData(x=public.x, y=public.y, kind=key.kind, handover=handover)
        await self._tell(key, data, {_KEY: public.fingerprint})

    async def _tell_hour(self, key: BoxKey, told: "_Told") -> None:
        marks = {what: mark for what, (mark, _) in told.items()}
        cameras = self._cameras()
        hour = await asyncio.to_thread(evidence_hour.gather, self._data_dir, cameras, marks)
        data = hour.data(await self._db.run(audit_head))
        if not data.heads and data.purges is None and data.audit == marks.get(_HOUR):
            return
        await self._tell(key, data, hour.marks | {_HOUR: data.audit}, hour)
        await self._forget_lists()

    async def _forget_lists(self) -> None:
        """Drop the lists of heads whose video is gone."""
        lists = await self._db.run(told_heads.ranges)
        gone = await asyncio.to_thread(evidence_hour.without_video, self._data_dir, lists)
        if gone:
            await self._db.run(lambda connection: told_heads.drop(connection, gone))

    async def _tell(
        self,
        key: BoxKey,
        data: BoxHour | BoxKeyData,
        marks: Mapping[str, str],
        hour: Hour | None = None,
    ) -> None:
        """Queue one record and note what it tells as told, both or neither."""
        now = self._clock.utc_now()
        record_id = new_ulid(now)
        signature = b64(await asyncio.to_thread(key.sign, data.to_sign()))

        def build(seq: int) -> bytes:
            record = cast("Any", RECORD_OF[type(data)])(
                id=record_id,
                source=self._source,
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
            if isinstance(data, BoxHour) and audit_head(connection) != data.audit:
                return  # an entry came between; the next look tells
            self._outbox.append_in(connection, StreamName.AUDIT, build, event_id=record_id)
            connection.executemany(
                "INSERT OR REPLACE INTO evidence_told (what, mark, told_at) VALUES (?, ?, ?)",
                [(what, mark, now.isoformat()) for what, mark in marks.items()],
            )
            for heads, behind in hour.heads if hour else ():
                told_heads.keep(connection, heads, behind)

        await self._db.run(write)


_Told = dict[str, tuple[str, datetime]]


def _told(connection: sqlite3.Connection) -> _Told:
    """Return the mark of each thing told last, and when."""
    rows = connection.execute("SELECT what, mark, told_at FROM evidence_told")
    return {row[0]: (row[1], datetime.fromisoformat(row[2])) for row in rows}
