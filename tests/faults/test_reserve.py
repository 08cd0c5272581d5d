"""With the disk full to the last byte, the core still writes; recordings leave it its room."""

import errno
import sqlite3

import pytest

from agent.core.db import Database, Part
from agent.core.errors import StorageError
from agent.core.reserve import Reserve, leave_room, size_of
from tests.faults.crash_lab.disk import tmpfs
from tests.faults.test_disk_full import fill

PART = Part("notes", ["CREATE TABLE notes (note BLOB NOT NULL)"])
DISK_BYTES = 64 * 1024 * 1024


@pytest.fixture
def disk(tmp_path):
    """A real file system of its own."""
    with tmpfs(tmp_path / "disk", f"size={DISK_BYTES}") as folder:
        yield folder


def note(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO notes VALUES (zeroblob(30000))")


async def test_the_core_goes_on_writing_when_somebody_fills_the_disk(disk):
    database, reserve = Database(disk / "box.db", [PART]), Reserve(disk)
    await database.start()
    await database.run(note)
    assert reserve.is_held
    ballast = fill(disk, leave_bytes=0)
    refused = []
    for _ in range(5):
        try:
            await database.run(note)
        except StorageError as error:
            refused.append(error.code)
    assert refused in ([], ["storage.full"])  # its room is given up, and the next try succeeds
    assert not reserve.is_held

    with pytest.raises(OSError) as caught:  # noqa: PT011 - its errno is looked at
        leave_room(disk)  # what is free now is not for recordings
    assert caught.value.errno == errno.ENOSPC
    ballast.unlink()
    leave_room(disk)
    for _ in range(60):
        await database.run(note)
    assert reserve.is_held  # taken again, for the next time
    await database.stop()


def test_a_small_disk_gives_a_small_reserve(disk):
    assert size_of(disk) == DISK_BYTES // 200
    reserve = Reserve(disk)
    assert reserve.hold()
    fill(disk, leave_bytes=0)
    assert reserve.give_up()
    assert not reserve.hold()  # not while the disk is full
