"""The core process's one database, `box.db`, behind one writer thread.

`await db.run(fn)` calls `fn(connection)` in a transaction and returns once it is on the disk.
Calls that wait at the same time share one transaction and so one flush (group commit); a call
that fails is rolled back alone. Reads go the same way: they see all that was committed before.

On a full disk it goes on in what it holds (`agent.core.db_room`, `agent.core.reserve`): a call may
be made a second time then, the first one undone.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from agent.core import db_room, log
from agent.core.disk_wait import Calls
from agent.core.errors import StorageError
from agent.core.reserve import Reserve, is_short, size_of
from agent.core.sqlite import Part, migrate_parts, open_writer

T = TypeVar("T")

__all__ = ["Database", "Part"]

_GROUP_LIMIT = 200
_HOLD_EVERY = 50  # commits: so often the room that was given up is looked after
_FILL_EVERY = 2000  # commits: so often free pages that were used are added again; each is a write
_PAGE_BYTES = 2048  # a commit writes whole pages: 20 events cost 3.5 x their bytes, 4 x with 4096
_VERSIONS = "CREATE TABLE schema_versions (part TEXT PRIMARY KEY, version INTEGER NOT NULL)"


@dataclass(slots=True)
class _Job:
    call: Callable[[sqlite3.Connection], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Database:
    """Open with `await start()`, end with `await stop()`; used by one event loop."""

    def __init__(self, path: Path, parts: Sequence[Part]) -> None:
        self._path, self._parts = path, parts
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: list[Callable[[], None]] = []
        self._reserve, self._is_alone = Reserve(path.parent), False
        self.calls = Calls()
        self._committed = 0

    async def start(self) -> None:
        """Open the file and bring every part's tables up to date. Raises `StorageError`."""
        self._loop = asyncio.get_running_loop()
        connection = await asyncio.to_thread(self._open)
        self._thread = threading.Thread(
            target=self._write, args=(connection,), name="db-writer", daemon=True
        )
        self._thread.start()

    async def stop(self) -> None:
        """Commit what is queued and close the file."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(thread.join)

    async def run(self, call: Callable[[sqlite3.Connection], T]) -> T:
        """Return `call(connection)` once it is committed.

        Raises what `call` raises, its changes undone; `StorageError` when the disk can't take it.
        """
        if self._thread is None or self._loop is None:
            raise StorageError("storage.closed", "The database is not open.")
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(call, future))
        return await future

    def on_commit(self, listener: Callable[[], None]) -> None:
        """Call `listener` in the event loop after each commit that wrote something.

        It is called before the callers go on.
        """
        self._listeners.append(listener)

    def _open(self) -> sqlite3.Connection:
        """Open the file; where there is no room for what is shared with readers, without them."""
        try:
            connection = self._open_as(is_alone=False)
        except StorageError:
            if not db_room.is_too_full_to_share(self._path):
                raise
            connection = self._open_as(is_alone=True)
            log.get("db").error("disk full, opened without readers")
        size = size_of(self._path.parent)
        if is_short(self._path.parent) and db_room.wal_bytes(self._path) < size:
            self._reserve.give_up()  # others would take it
            with suppress(OSError):
                db_room.lengthen_wal(self._path, size)
        return connection

    def _open_as(self, *, is_alone: bool) -> sqlite3.Connection:
        self._is_alone = is_alone
        connection = open_writer(self._path, [_VERSIONS], page_bytes=_PAGE_BYTES, is_alone=is_alone)
        migrate_parts(connection, self._parts)
        return connection

    def _write(self, connection: sqlite3.Connection) -> None:
        closing = False
        while not closing:
            group: list[_Job] = []
            job = self._jobs.get()
            while job is not None:
                group.append(job)
                if len(group) == _GROUP_LIMIT or self._jobs.empty():
                    break
                job = self._jobs.get()
            closing = job is None
            if group:
                before = connection.total_changes
                with self.calls:
                    self._carry_out(connection, group)
                self._tell(group, has_written=connection.total_changes != before)
                with self.calls:
                    connection = self._mind_room(connection, group)
        connection.close()

    def _carry_out(self, connection: sqlite3.Connection, group: list[_Job]) -> None:
        """Commit the group; with the disk full, each job again, alone, in the reserved room."""
        _commit(connection, group)
        refused = [job for job in group if _is_full(job)]
        if refused and self._reserve.give_up():
            log.get("db").error("disk full, reserve given up")
        elif len(group) == 1:
            return
        for job in refused:  # what only reads, or writes little, must not fail with the others
            job.error = None
            _commit(connection, [job])

    def _mind_room(self, connection: sqlite3.Connection, group: list[_Job]) -> sqlite3.Connection:
        """Take again what was given up and used, once there is plenty; return the connection."""
        self._committed += 1
        if any(_is_full(job) for job in group) or self._committed % _HOLD_EVERY != 1:
            return connection
        was_held = self._reserve.is_held
        if not self._reserve.hold():
            return connection
        has_let_in = self._is_alone and db_room.is_plenty(self._path)
        if has_let_in:
            connection.close()
            connection = self._open()
        if has_let_in or not was_held or self._committed % _FILL_EVERY == 1:
            db_room.hold(connection, self._path)
        return connection

    def _tell(self, group: list[_Job], *, has_written: bool) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._resolve, group, has_written)

    def _resolve(self, group: list[_Job], has_written: bool) -> None:
        for job in group:  # first: they are the first to go on
            if job.future.done():  # its caller was cancelled; what was written stays written
                continue
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.result)
        if has_written:  # who only reads must not wake those who read after each commit
            for listener in self._listeners:
                listener()


def _commit(connection: sqlite3.Connection, group: list[_Job]) -> None:
    """Run the jobs in one transaction; afterwards each has its result or its error."""
    try:
        connection.execute("BEGIN")
        for job in group:
            _run_one(connection, job)
        connection.execute("COMMIT")
    except sqlite3.Error as error:  # the whole group is lost, and its callers must know
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        for job in group:
            job.error = job.error or _storage_error(error)


def _run_one(connection: sqlite3.Connection, job: _Job) -> None:
    connection.execute("SAVEPOINT job")
    try:
        job.result = job.call(connection)
    except Exception as error:  # whatever it is, it goes to the caller
        if not connection.in_transaction:  # a full disk makes SQLite undo the whole transaction
            raise sqlite3.OperationalError(str(error)) from error
        connection.execute("ROLLBACK TO job")
        job.error = _storage_error(error) if isinstance(error, sqlite3.OperationalError) else error
    connection.execute("RELEASE job")


def _is_full(job: _Job) -> bool:
    return isinstance(job.error, StorageError) and job.error.code == "storage.full"


def _storage_error(error: sqlite3.Error) -> StorageError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or "full" in str(error):
        return StorageError(
            "storage.full",
            f"The disk can't take more: {error}.",
            hint="Free space on the data disk or lower the buffer's limit.",
            retryable=True,
        )
    return StorageError(
        "storage.database",
        f"The database failed: {error}.",
        hint="Check the data disk for errors; the file is tried again by itself.",
        retryable=True,
    )
