"""What lets the center prove later that a box's past was not rewritten, on its way there.

Once an hour the heads of each camera's chain and the head of the audit chain; each purge record
within minutes, those of cameras that are gone as well; each key once. Signed, in stream `u`, which
the outbox never gives up. In the core.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from agent.buffer import former, journal
from agent.buffer.index import INDEX_FILE
from agent.buffer.reading import camera_folder
from agent.contract.events import StreamName
from agent.contract.evidence import (
    RECORD_OF,
    AuditHead,
    BoxKeyData,
    EvidenceData,
    PurgeCopy,
    VideoHeads,
)
from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.db import Database, Part
from agent.core.errors import StorageError
from agent.core.ids import new_ulid
from agent.core.sqlite import open_reader
from agent.evidence import chain_index
from agent.evidence.box_key import BoxKey, b64
from agent.evidence.handover import handover_to
from agent.outbox.audit import audit_head
from agent.outbox.writer import Outbox

T = TypeVar("T")

LOOK_EVERY_S = 60.0
HEADS_EVERY = timedelta(hours=1)
MOST_HEADS = 100  # of one record; an hour has sixty
MOST_PURGES = 20

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
        await self._tell_key(key)
        for camera_id in await asyncio.to_thread(self._with_former):
            index_file = camera_folder(self._data_dir, camera_id) / INDEX_FILE
            for stream in (chain_index.MAIN, chain_index.SUB):
                await self._tell_heads(key, camera_id, stream, index_file)
            await self._tell_purges(key, camera_id, index_file)
        for file in sorted((self._data_dir / former.RECORDS).glob("*.jsonl")):
            await self._tell_former(key, file)
        await self._tell_audit_head(key)

    def _with_former(self) -> list[str]:
        """Return the cameras of the settings, and those that only their recordings are left of."""
        cameras = self._cameras()
        left = former.folders_of_former(self._data_dir, set(cameras))
        return [*cameras, *(folder.name for folder in left)]

    async def _tell_key(self, key: BoxKey) -> None:
        what, mark = "key", key.public.fingerprint
        if (await self._told(what))[0] != mark:
            public = key.public
            handover = await asyncio.to_thread(handover_to, public, self._data_dir)
            data = BoxKeyData(x=public.x, y=public.y, kind=key.kind, handover=handover)
            await self._tell(key, what, mark, "", data)

    async def _tell_heads(self, key: BoxKey, camera_id: str, stream: str, index_file: Path) -> None:
        what = f"heads/{camera_id}" + ("" if stream == chain_index.MAIN else f"/{stream}")
        mark, told_at = await self._told(what)
        if told_at is not None and self._clock.utc_now() - told_at < HEADS_EVERY:
            return
        run_id, seq = (int(part) for part in (mark or "0:-1").split(":"))

        def read(db: sqlite3.Connection) -> VideoHeads:
            heads = chain_index.heads_since(db, run_id, seq, MOST_HEADS, stream)
            return VideoHeads(camera_id=camera_id, heads=tuple(heads), stream=stream)

        data = await asyncio.to_thread(_read, index_file, read)
        if data is not None and data.heads:
            last = data.heads[-1]
            await self._tell(key, what, f"{last.run}:{last.seq}", camera_id, data)

    async def _tell_purges(self, key: BoxKey, camera_id: str, index_file: Path) -> None:
        what = f"purges/{camera_id}"
        mark, _ = await self._told(what)

        def read(db: sqlite3.Connection) -> list[journal.SignedPurge]:
            return journal.purges_behind(db, mark, MOST_PURGES)

        for purge in await asyncio.to_thread(_read, index_file, read) or []:
            await self._tell_purge(key, what, purge.mark, camera_id, purge)

    async def _tell_former(self, key: BoxKey, file: Path) -> None:
        """Tell what a camera's folder left when it went, but for what was told before that."""
        what, camera_id = f"former/{file.stem}", file.stem
        told_until = int((await self._told(what))[0] or 0)
        mark, _ = await self._told(f"purges/{camera_id}")
        found = await asyncio.to_thread(former.records_behind, file, told_until)
        last_told = next((n for n, (purge, _) in enumerate(found) if purge.mark == mark), -1)
        for purge, offset in found[last_told + 1 :]:
            await self._tell_purge(key, what, str(offset), camera_id, purge)

    async def _tell_purge(
        self, key: BoxKey, what: str, mark: str, camera_id: str, purge: journal.SignedPurge
    ) -> None:
        signed = (purge.key_id, b64(purge.signature))
        await self._tell(key, what, mark, camera_id, PurgeCopy(body=purge.body), signed)

    async def _tell_audit_head(self, key: BoxKey) -> None:
        """The head and its record are one transaction: no entry can come between them."""
        mark, told_at = await self._told("audit")
        if told_at is not None and self._clock.utc_now() - told_at < HEADS_EVERY:
            return
        head = await self._db.run(audit_head)
        if head != mark:
            await self._tell(key, "audit", head, "", AuditHead(hash=head))

    async def _told(self, what: str) -> tuple[str, datetime | None]:
        """Return the mark told last and when; ("", None) when nothing was."""

        def read(connection: sqlite3.Connection) -> tuple[str, datetime | None]:
            row = connection.execute(
                "SELECT mark, told_at FROM evidence_told WHERE what = ?", (what,)
            ).fetchone()
            return ("", None) if row is None else (row[0], datetime.fromisoformat(row[1]))

        return await self._db.run(read)

    async def _tell(
        self,
        key: BoxKey,
        what: str,
        mark: str,
        subject: str,
        data: EvidenceData,
        signed: tuple[str, str] | None = None,
    ) -> None:
        """Queue one record and note it as told, both or neither."""
        now = self._clock.utc_now()
        record_id = new_ulid(now)
        if signed is None:
            signature = b64(await asyncio.to_thread(key.sign, data.to_sign()))
            signed = (key.public.fingerprint, signature)
        key_id, signature = signed

        def build(seq: int) -> bytes:
            record = cast("Any", RECORD_OF[type(data)])(
                id=record_id,
                source=self._source,
                subject=subject,
                time=now,
                seq=seq,
                epoch=self._outbox.epoch,
                data=data,
                key=key_id,
                signature=signature,
            )
            return msgspec.json.encode(record)

        def write(connection: sqlite3.Connection) -> None:
            if isinstance(data, AuditHead) and audit_head(connection) != data.hash:
                return  # an entry came between; the next look tells
            self._outbox.append_in(connection, StreamName.AUDIT, build, event_id=record_id)
            connection.execute(
                "INSERT OR REPLACE INTO evidence_told VALUES (?, ?, ?)",
                (what, mark, now.isoformat()),
            )

        await self._db.run(write)


def _read(index_file: Path, read: Callable[[sqlite3.Connection], T]) -> T | None:
    """Return what `read` finds in a camera's index; None while it has none."""
    try:
        with closing(open_reader(index_file)) as db:
            return read(db)
    except (StorageError, sqlite3.Error):
        return None
