"""A disk that takes no further file: the box lives, its bell is heard, recording heals."""

import errno
import os

import pytest

from agent.core import inodes
from agent.core.db import Database, Part
from tests.bell_box import bell_box, is_recording, is_told_of
from tests.faults.crash_lab import disk

PART = Part("notes", ["CREATE TABLE notes (note TEXT)"])


def use_up(folder):
    """Somebody else makes files until none can be made."""
    for number in range(100_000):
        try:
            (folder / f"crumb-{number}").touch()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return
    pytest.fail("this file system has no bound")


async def test_a_database_is_opened_with_the_inodes_kept_for_it(tmp_path):
    with disk.tmpfs(tmp_path / "disk", "size=8m,nr_inodes=200") as folder:
        inodes.hold(folder)
        held = len(list((folder / inodes.FOLDER).iterdir()))
        assert held == 200 // 16
        use_up(folder)
        database = folder / "cameras" / "gate" / "index.db"
        assert inodes.can_open(folder / "box.db")
        assert len(list((folder / inodes.FOLDER).iterdir())) == held - inodes.NEEDED
        db = Database(folder / "box.db", [PART])
        await db.start()
        await db.run(lambda connection: connection.execute("INSERT INTO notes VALUES ('kept')"))
        assert inodes.can_open(folder / "box.db")  # it is open: nothing more is given
        use_up(folder)
        while inodes.can_open(database):
            use_up(folder)
        assert not any((folder / inodes.FOLDER).iterdir())
        await db.stop()


def test_what_is_kept_is_not_written_again_at_each_look(tmp_path):
    with disk.tmpfs(tmp_path / "disk", "size=8m,nr_inodes=200") as folder:
        inodes.hold(folder)
        kept = folder / inodes.FOLDER
        (kept / "3").unlink()
        for file in kept.iterdir():
            os.utime(file, (1, 1))
        inodes.hold(folder)
        assert sorted(file.name for file in kept.iterdir() if file.stat().st_mtime != 1) == ["3"]


def test_nothing_is_kept_where_little_is_free(tmp_path):
    with disk.tmpfs(tmp_path / "disk", "size=8m,nr_inodes=200") as folder:
        use_up(folder)
        inodes.hold(folder)
        assert not (folder / inodes.FOLDER).exists()


@pytest.mark.timeout(500)
async def test_a_box_without_inodes_lives_while_it_runs_and_when_it_starts(tmp_path):
    async with bell_box(tmp_path, "size=80m,nr_inodes=400") as pole:
        with pole.box:
            await pole.until(is_recording)
            await pole.until(lambda _: (pole.data_dir / inodes.FOLDER).exists())
            use_up(pole.data_dir)
            await pole.until(is_told_of("disk.inodes", None))
            await pole.heard(1)
            await pole.until(is_recording)  # its oldest recordings made room

        use_up(pole.data_dir)
        with pole.box:  # what was kept for it lets it start
            await pole.until(is_recording)
            await pole.heard(2)

        for file in (pole.data_dir / inodes.FOLDER).iterdir():
            file.unlink()
        use_up(pole.data_dir)
        with pole.box:  # nothing was kept: it works in memory, and says so
            await pole.until(is_told_of("camera.not_recorded", "gate"))
            await pole.heard(3)
            for file in pole.data_dir.glob("crumb-*"):
                file.unlink()
            told = is_told_of("camera.not_recorded", "gate")
            await pole.until(lambda state: is_recording(state) and not told(state))
