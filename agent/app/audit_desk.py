"""What people do at the box itself, on its way into the audit chain. Runs in the core.

Commands audit themselves; here come the command line's notes (through the spool, agent running or
not), logins and views at the page (`note`), and every change of settings, with its values: at once
when it is ordered, else at the start that finds it.
"""

import asyncio
import hashlib
import sqlite3
from contextlib import suppress
from pathlib import Path

import msgspec

from agent.contract.audit import AuditEntry
from agent.contract.commands import Actor
from agent.core import log
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.core.db import Database, Part
from agent.core.folder_news import FolderNews
from agent.outbox.audit import Audit
from agent.outbox.spool import FOLDER, Spooled, read_spool, remove_spool
from agent.settings.changes import changes, shown, tell
from agent.settings.model import Settings

LOOK_EVERY_S = 2.0

PART = Part(
    "audit_desk",
    [
        """
CREATE TABLE audit_spooled (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE audit_settings (hash TEXT NOT NULL);
""",
        "ALTER TABLE audit_settings ADD COLUMN shown TEXT NOT NULL DEFAULT ''",
    ],
)


class AuditDesk(Service):
    """`settings` are those the core was started with."""

    name = "audit-desk"

    def __init__(
        self, clock: Clock, db: Database, chain: Audit, data_dir: Path, settings: Settings
    ) -> None:
        super().__init__(clock)
        self._db, self.chain, self._data_dir = db, chain, data_dir
        self._settings, self._news = settings, FolderNews(data_dir / FOLDER, clock)
        self._log = log.get(self.name)

    async def note(
        self, op: str, actor: str, outcome: str = "done", *, code: str = "", detail: str = ""
    ) -> None:
        """Chain what someone did just now, such as `page.login`; on the disk when this returns."""
        entry = AuditEntry(
            command_id="",
            op=op,
            actor=actor,
            outcome=outcome,
            code=code,
            at=self._clock.utc_now(),
            detail=detail,
        )
        await self._db.run(lambda connection: self.chain.append_in(connection, entry))

    async def run(self) -> None:
        await self._db.run(self.note_settings)
        while True:
            try:
                if self._news.has_come():
                    await self.take_spool()
            except OSError as error:
                self._log.error("spool can't be read", detail=str(error))
                self._news.close()  # looked at again at once
            self.progressed()
            await self._clock.sleep_s(to_tick_s(self._clock, LOOK_EVERY_S))

    async def take_spool(self) -> None:
        """Chain each spooled entry once, whatever is killed meanwhile. Raises `OSError`."""
        spooled = await asyncio.to_thread(self._read)
        if not spooled.entries and spooled.is_whole:
            return
        await self._db.run(lambda connection: self._chain(connection, spooled))
        if await asyncio.to_thread(remove_spool, self._data_dir, spooled):
            await self._db.run(lambda connection: connection.execute("DELETE FROM audit_spooled"))

    async def stop(self) -> None:
        self._news.close()

    def _read(self) -> Spooled:
        with suppress(OSError):  # else the kernel can't tell of it
            (self._data_dir / FOLDER).mkdir(mode=0o750, exist_ok=True)
        self._news.begin()
        return read_spool(self._data_dir)

    def _chain(self, connection: sqlite3.Connection, spooled: Spooled) -> None:
        for line in spooled.entries:
            if _is_new(connection, line.id):
                self.chain.append_in(connection, line.entry)
        if not spooled.is_whole and _is_new(connection, "damaged"):
            text = "Notes of what was done at the box were changed or lost before they were taken."
            damaged = AuditEntry(
                command_id="",
                op="audit.spool",
                actor="box",
                outcome="failed",
                code="audit.spool_damaged",
                at=self._clock.utc_now(),
                detail=text,
            )
            self.chain.append_in(connection, damaged)

    async def note_change(self, old: Settings, new: Settings, by: Actor | None) -> None:
        """Chain who changes what to what; without `by` it is the box, taking a change back."""
        told = changes(old, new)
        if told:
            by = by or Actor(user="box")
            op = "settings.change"
            await self._db.run(
                lambda connection: self._note_settings(connection, new, op, by, told)
            )

    def note_settings(self, connection: sqlite3.Connection) -> None:
        """Chain that the settings are not those of the last start."""
        row = connection.execute("SELECT * FROM audit_settings").fetchone()
        if row is not None and row["hash"] == _digest(self._settings):
            return
        told = ""
        if row is not None and row["shown"]:
            told = tell(msgspec.json.decode(row["shown"]), shown(self._settings))
        by, op = Actor(user="box"), "settings.start"
        self._note_settings(connection, self._settings, op, by, told)

    def _note_settings(
        self, connection: sqlite3.Connection, new: Settings, op: str, by: Actor, told: str
    ) -> None:
        """Chain a change and remember what is in effect, both or neither."""
        row = connection.execute("SELECT hash FROM audit_settings").fetchone()
        digest = _digest(new)
        connection.execute("DELETE FROM audit_settings")
        connection.execute(
            "INSERT INTO audit_settings (hash, shown) VALUES (?,?)",
            (digest, msgspec.json.encode(shown(new)).decode()),
        )
        entry = AuditEntry(
            command_id="",
            op=op,
            actor=by.user,
            agency=by.agency,
            case=by.case,
            outcome="done",
            at=self._clock.utc_now(),
            detail=f"settings sha256 {digest}, before {row['hash'] if row else 'none'}"
            + (f"; {told}" if told else ""),
        )
        self.chain.append_in(connection, entry)


def _digest(settings: Settings) -> str:
    return hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()


def _is_new(connection: sqlite3.Connection, line_id: str) -> bool:
    inserted = connection.execute("INSERT OR IGNORE INTO audit_spooled (id) VALUES (?)", (line_id,))
    return inserted.rowcount == 1
