"""Sends what an alarm shows without being asked: a snapshot now, a clip once its end is recorded.

What is owed is read from the incidents themselves, so a kill at any moment forgets nothing. A file
is queued and bound to its incident, by an update that names its SHA-256, in one transaction. Runs
in the core process.
"""

import asyncio
import hashlib
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from agent.commands.clip import export_clip
from agent.commands.snapshot import FULL_BYTES, FULL_WIDTH_PX, Pictures
from agent.contract.commands import Clip
from agent.contract.events import EventFile, EventKind
from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.db import Database, Part
from agent.core.errors import PolesideError
from agent.core.ids import new_ulid
from agent.core.rationing import URGENT_PRIORITY
from agent.events.incidents import Incidents
from agent.settings.model import UploadSettings
from agent.uploads.queue import NewFile
from agent.uploads.sender import Uploads

LATE = timedelta(minutes=15)  # an older alarm's files are left; its video stays in the buffer
_SETTLE_S = 12.0  # a segment's length: then the end of a clip lies on the disk
_TRIES, _AGAIN_S = 5, 3.0
_SNAPSHOT, _CLIP = "snapshot", "clip"

PART = Part(
    "alarm_files",
    [
        "CREATE TABLE alarm_files (event_id TEXT NOT NULL, kind TEXT NOT NULL,"
        " code TEXT NOT NULL, PRIMARY KEY (event_id, kind)) WITHOUT ROWID"
    ],
)


@dataclass(frozen=True, slots=True)
class _Owed:
    """One file that an alarm calls for, from `due_at` on."""

    event_id: str
    camera_id: str
    kind: str
    began_at: datetime
    due_at: datetime


class AlarmFiles(Service):
    """Looks after each commit; does nothing while `uploads.on_alarm` is empty."""

    name = "alarm-files"

    def __init__(
        self,
        clock: Clock,
        db: Database,
        data_dir: Path,
        pictures: Pictures,
        uploads: Uploads,
        incidents: Incidents,
    ) -> None:
        super().__init__(clock)
        self._db, self._data_dir = db, data_dir
        self._pictures, self._uploads, self._incidents = pictures, uploads, incidents
        self._tries: dict[_Owed, int] = {}
        self._news = asyncio.Event()
        self._log = log.get(self.name)
        db.on_commit(self._news.set)

    async def run(self) -> None:
        while True:
            self._news.clear()
            wait_s = await self._look()
            try:
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _look(self) -> float | None:
        """Make what is due; return the seconds until something else is."""
        settings, now = self._uploads.settings, self._clock.utc_now()
        if not settings.on_alarm:
            return None
        owed = await self._db.run(partial(_owed, settings=settings, since=now - LATE))
        self._tries = {one: tries for one, tries in self._tries.items() if one in owed}
        wait_s: float | None = None
        for one in owed:
            one_s = (one.due_at - now).total_seconds()
            if one_s <= 0:
                one_s = _AGAIN_S
                await self._try(one)
            wait_s = one_s if wait_s is None else min(wait_s, one_s)
        return wait_s

    async def _try(self, owed: _Owed) -> None:
        try:
            await self._make(owed)
        except PolesideError as error:
            self._tries[owed] = tries = self._tries.get(owed, 0) + 1
            self._log.warning("no file of an alarm", event_id=owed.event_id, reason=str(error))
            if tries >= _TRIES:
                code = error.code
                await self._db.run(lambda connection: _settle(connection, owed, code))

    async def _make(self, owed: _Owed) -> None:
        file_id = new_ulid(self._clock.utc_now())
        make = self._snapshot if owed.kind == _SNAPSHOT else self._clip
        path: Path | None = None
        try:
            path, content_type, size, sha256 = await make(owed, file_id)
            named = EventFile(
                upload=file_id,
                name=path.name,
                content_type=content_type,
                bytes=size,
                sha256=sha256,
            )
            result = {"event": owed.event_id, "camera_id": owed.camera_id, "sha256": sha256}
            file = NewFile(file_id, path, content_type, size, sha256, result, URGENT_PRIORITY)

            def bind(connection: sqlite3.Connection) -> None:
                self._incidents.attach(connection, owed.event_id, named)
                _settle(connection, owed, "")

            await self._uploads.add(file, also=bind)
        except BaseException:
            if path is not None:
                path.unlink(missing_ok=True)
            raise

    async def _snapshot(self, owed: _Owed, file_id: str) -> tuple[Path, str, int, str]:
        reply = await self._pictures.picture(owed.camera_id, FULL_WIDTH_PX, FULL_BYTES)
        assert reply.jpeg is not None  # noqa: S101 - the hub raises when there is none
        path = self._uploads.folder / f"{file_id}.jpg"
        await asyncio.to_thread(path.write_bytes, reply.jpeg)
        return path, "image/jpeg", len(reply.jpeg), hashlib.sha256(reply.jpeg).hexdigest()

    async def _clip(self, owed: _Owed, file_id: str) -> tuple[Path, str, int, str]:
        settings = self._uploads.settings
        wanted = Clip(
            camera_id=owed.camera_id,
            start_at=owed.began_at - timedelta(seconds=settings.alarm_pre_s),
            end_at=owed.began_at + timedelta(seconds=settings.alarm_post_s),
        )
        out = self._uploads.folder / f"{file_id}.mp4"
        facts = await export_clip(
            self._data_dir, wanted, out, by="box", incident=owed.event_id, purpose="alarm"
        )
        return out, "video/mp4", facts.bytes, facts.sha256


def _owed(connection: sqlite3.Connection, settings: UploadSettings, since: datetime) -> list[_Owed]:
    """Return the files that alarms since then call for and that are not queued yet."""
    clip_s = settings.alarm_post_s + _SETTLE_S
    delay = {_SNAPSHOT: timedelta(), _CLIP: timedelta(seconds=clip_s)}
    rows = connection.execute(
        "SELECT event_id, subject, started_utc_us FROM incidents"
        " WHERE started_utc_us > ? AND kind = ? ORDER BY started_utc_us",
        (round(since.timestamp() * 1e6), EventKind.INTRUSION.value),
    ).fetchall()
    settled = {
        (row["event_id"], row["kind"])
        for row in (connection.execute("SELECT event_id, kind FROM alarm_files") if rows else ())
    }
    return [
        _Owed(row["event_id"], row["subject"], kind, began_at, began_at + delay[kind])
        for row in rows
        for kind in settings.on_alarm
        for began_at in (datetime.fromtimestamp(row["started_utc_us"] / 1e6, UTC),)
        if (row["event_id"], kind) not in settled
    ]


def _settle(connection: sqlite3.Connection, owed: _Owed, code: str) -> None:
    """Write down that nothing more is owed; forget what is too old to be owed again."""
    connection.execute(
        "DELETE FROM alarm_files WHERE event_id NOT IN (SELECT event_id FROM incidents)"
    )
    connection.execute(
        "INSERT OR REPLACE INTO alarm_files (event_id, kind, code) VALUES (?, ?, ?)",
        (owed.event_id, owed.kind, code),
    )
