"""A disk that takes no further file: the box lives, its bell is heard, recording heals."""

import asyncio
import errno
import os

import pytest

from agent.app.run_dir import run_dir
from agent.contract.events import EventKind, Phase
from agent.contract.topics import BoxAddress
from agent.core import inodes
from agent.core.clock import SystemClock
from agent.core.db import Database, Part
from agent.settings.model import Settings
from tests.box_process import HOST, BoxProcess, CameraProcess, camera_in, faults_in
from tests.brokers import Mosquitto
from tests.faults.crash_lab import disk
from tests.footage_maker import make_clip
from tests.spine import make_center, running

PATIENCE_S = 90.0
CLOCK = SystemClock()
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


class Pole:
    """A box with a bell and a camera on a disk of few inodes, and what the center heard."""

    def __init__(self, folder, camera, broker, center):
        self.data_dir, self.center = folder / "box", center
        self.lines = run_dir(Settings(data_dir=str(self.data_dir))) / "lines"
        bell = {"input_id": "bell", "meaning": "bell", "line": "bell", "active_low": False}
        settings = {
            "box": "box-1",
            "broker": {
                "urls": [f"mqtt://{HOST}:{broker.port}"],
                "username": "box-1",
                "password": "secret-box-1",
            },
            "cameras": [camera.settings("gate", detect=False, look=False)],
            "buffer": {"segment_s": 2.0, "min_free_bytes": 0},
            "pole": {"inputs": [bell]},
        }
        self.box = BoxProcess(folder, settings)

    async def until(self, is_so):
        return await asyncio.to_thread(self.box.until, is_so, PATIENCE_S)

    async def heard(self, times):
        """Press the bell, and wait until the center has heard so many presses."""
        self.lines.mkdir(exist_ok=True)
        (self.lines / "bell").write_text("1")
        async with asyncio.timeout(PATIENCE_S):
            while len([s for s in await self.center.events() if is_press(s.event)]) < times:
                await CLOCK.sleep_s(0.3)
        (self.lines / "bell").write_text("0")


def is_press(event):
    return event.data.kind is EventKind.EMERGENCY_BELL and event.phase is Phase.NEW


def is_recording(state):
    return camera_in(state, "gate")["is_recording"]


def is_told_of(code, camera_id):
    return lambda state: (code, camera_id) in faults_in(state)


@pytest.mark.timeout(500)
async def test_a_box_without_inodes_lives_while_it_runs_and_when_it_starts(tmp_path):
    clip = make_clip(tmp_path / "main.mp4", seconds=4, size_px=(160, 120))
    camera = CameraProcess(tmp_path, "gate", clip, clip)
    broker = Mosquitto(tmp_path / "broker", [BoxAddress("site-1", "box-1")])
    with disk.tmpfs(tmp_path / "box", "size=80m,nr_inodes=400") as data_dir, camera:
        await broker.start()
        try:
            center = make_center(tmp_path / "center", broker.settings("center"))
            async with running(center):
                pole = Pole(tmp_path, camera, broker, center)
                with pole.box:
                    await pole.until(is_recording)
                    await pole.until(lambda _: (data_dir / inodes.FOLDER).exists())
                    use_up(data_dir)
                    await pole.until(is_told_of("disk.inodes", None))
                    await pole.heard(1)
                    await pole.until(is_recording)  # its oldest recordings made room

                use_up(data_dir)
                with pole.box:  # what was kept for it lets it start
                    await pole.until(is_recording)
                    await pole.heard(2)

                for file in (data_dir / inodes.FOLDER).iterdir():
                    file.unlink()
                use_up(data_dir)
                with pole.box:  # nothing was kept: it works in memory, and says so
                    await pole.until(is_told_of("camera.not_recorded", "gate"))
                    await pole.heard(3)
                    for file in data_dir.glob("crumb-*"):
                        file.unlink()
                    told = is_told_of("camera.not_recorded", "gate")
                    await pole.until(lambda state: is_recording(state) and not told(state))
        finally:
            await broker.stop()
