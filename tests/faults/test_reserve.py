"""With the disk full to the last byte, the core still writes; recordings leave it its room."""

import asyncio
import errno
import sqlite3
import subprocess
import sys
from contextlib import suppress

import pytest

from agent.core.db import Database, Part
from agent.core.db_room import WAL_BYTES, wal_bytes
from agent.core.errors import StorageError
from agent.core.reserve import Reserve, leave_room, size_of
from agent.core.sqlite import open_reader
from tests.faults.crash_lab.disk import tmpfs
from tests.grant_desk import Clock, desk
from tests.spine import eventually

PART = Part("notes", ["CREATE TABLE notes (note BLOB NOT NULL)"])
DISK_BYTES = 64 * 1024 * 1024
NOTE_BYTES = 30_000
KILLED = """
import asyncio, os, sys
from pathlib import Path
from agent.core.db import Database
from tests.faults.test_reserve import PART, note
async def main():
    database = Database(Path(sys.argv[1]), [PART])
    await database.start()
    for _ in range(3):
        await database.run(note)
    os._exit(9)
asyncio.run(main())
"""


@pytest.fixture
def disk(tmp_path):
    """A real file system of its own."""
    with tmpfs(tmp_path / "disk", f"size={DISK_BYTES}") as folder:
        yield folder


def fill(folder):
    """Somebody else takes all that is free, to the last byte."""
    ballast = folder / "ballast"
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(65536))
    return ballast


def note(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO notes VALUES (zeroblob(?))", (NOTE_BYTES,))


def word(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO notes VALUES (zeroblob(1))")


def notes(connection: sqlite3.Connection) -> int:
    return connection.execute("SELECT count(*) FROM notes").fetchone()[0]


def killed(path):
    """Leave a database that was in use, as kill -9 does."""
    ended = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    assert ended.returncode == 9


async def until_full(database):
    """Write until the disk refuses; return how many notes it took."""
    count = 0
    for write in (note, word):
        with pytest.raises(StorageError) as caught:  # noqa: PT012 - whichever of them it is
            while True:
                await database.run(write)
                count += write is note
        assert caught.value.code == "storage.full"
    return count


async def test_the_core_goes_on_writing_when_somebody_fills_the_disk(disk):
    database, reserve = Database(disk / "box.db", [PART]), Reserve(disk)
    await database.start()
    await database.run(note)
    await database.run(notes)  # after a commit it sees to its room
    assert reserve.is_held
    ballast = fill(disk)

    assert await until_full(database) * NOTE_BYTES > 1_000_000
    assert not reserve.is_held
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its errno is looked at
        leave_room(disk)  # what is free now is not for recordings
    assert caught.value.errno == errno.ENOSPC

    ballast.unlink()
    leave_room(disk)
    for _ in range(60):
        await database.run(note)
    assert reserve.is_held  # taken again, for the next time
    fill(disk)
    assert await until_full(database) * NOTE_BYTES > 1_000_000
    await database.stop()


async def test_who_reads_does_not_fail_with_who_finds_no_room(disk):
    database = Database(disk / "box.db", [PART])
    await database.start()
    await database.run(note)
    await database.run(notes)
    fill(disk)
    await until_full(database)
    gathered = await asyncio.gather(
        database.run(notes), database.run(note), database.run(notes), return_exceptions=True
    )
    assert gathered[0] == gathered[2] > 30
    assert isinstance(gathered[1], StorageError)
    await database.stop()


async def test_after_a_kill_the_next_core_writes_although_nothing_is_free(disk):
    killed(disk / "box.db")
    fill(disk)
    database = Database(disk / "box.db", [PART])
    await database.start()
    assert Reserve(disk).is_held  # it needs none yet
    await database.stop()

    (disk / "ballast").unlink()
    killed(disk / "box.db")
    (disk / ".reserve").unlink(missing_ok=True)
    fill(disk)
    database = Database(disk / "box.db", [PART])
    await database.start()
    for _ in range(30):
        await database.run(note)
    assert await database.run(notes) == 36
    await database.stop()


@pytest.mark.parametrize("is_reserve_left", [True, False])
async def test_it_opens_where_not_even_the_index_of_its_log_finds_room(disk, is_reserve_left):
    path = disk / "box.db"
    killed(path)
    with sqlite3.connect(path) as closing:  # a planned stop: nothing lies beside it
        closing.execute("SELECT 1 FROM notes")
    closing.close()
    assert not path.with_name("box.db-shm").exists()
    ballast = fill(disk)
    if not is_reserve_left:
        (disk / ".reserve").unlink()
        fill(disk)

    database = Database(path, [PART])
    await database.start()
    assert await database.run(notes) == 3
    if is_reserve_left:
        await database.run(note)

    ballast.unlink()
    for _ in range(60):
        await database.run(note)
    reader = open_reader(path)  # others may read again
    assert notes(reader) == 63 + is_reserve_left
    reader.close()
    await database.stop()


async def test_alone_it_keeps_its_reserve_and_goes_on_until_others_may_read_again(disk):
    path = disk / "box.db"
    killed(path)
    path.with_name("box.db-shm").unlink()
    ballast = fill(disk)
    database = Database(path, [PART])
    await database.start()
    for _ in range(60):
        await database.run(word)
    assert Reserve(disk).is_held
    assert wal_bytes(path) >= WAL_BYTES  # nothing of what it holds was anybody's meanwhile

    ballast.unlink()
    for _ in range(60):
        await database.run(word)
    reader = open_reader(path)
    assert notes(reader) == 3 + 120
    reader.close()
    await database.stop()


async def test_what_was_granted_ends_in_time_and_is_told_once_there_is_room(disk):
    clock = Clock()
    async with desk(disk, clock, parts=[PART]) as box:
        await box.give(box.grant(lasts_s=600))
    fill(disk)
    async with desk(disk, clock, parts=[PART]) as box:
        await until_full(box.db)
        fill(disk)  # what was reserved goes, too
        assert len(await box.grants.holding()) == len(box.workers.started) == 1
        clock.mono_jump_s += 600.0
        while not box.workers.stopped:  # noqa: ASYNC110
            await asyncio.sleep(0.03)
        assert await box.reports() == []

        (disk / "ballast").unlink()
        clock.mono_jump_s += 60.0  # it need not be waited for
        await eventually(box.reports)
    assert len(box.workers.started) == 1


def test_a_small_disk_gives_a_small_reserve(disk):
    assert size_of(disk) == DISK_BYTES // 200
    reserve = Reserve(disk)
    assert reserve.hold()
    fill(disk)
    assert reserve.give_up()
    assert not reserve.hold()  # not while the disk is full
