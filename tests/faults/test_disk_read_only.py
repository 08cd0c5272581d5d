"""A box whose disk takes nothing starts: its bell is heard, its page tells, it heals by itself."""

import os

import pytest

from agent.buffer.medium import is_read_only
from tests.bell_box import bell_box, is_recording, is_told_of
from tests.faults.crash_lab import disk


def test_a_folder_is_read_only_as_its_file_system_is_even_before_it_is_made(tmp_path):
    with disk.tmpfs(tmp_path / "disk", "size=1m") as mount:
        assert not is_read_only(mount / "cameras" / "gate")
        disk.run("mount", "-o", "remount,ro", mount)
        assert is_read_only(mount / "cameras" / "gate")
        disk.run("mount", "-o", "remount,rw", mount)
        assert not is_read_only(mount)


@pytest.mark.timeout(400)
async def test_with_a_disk_that_is_read_only_the_box_starts_and_the_bell_is_heard(tmp_path):
    told = is_told_of("disk.read_only", None), is_told_of("camera.not_recorded", "gate")
    async with bell_box(tmp_path, "size=80m") as pole:
        disk.run("mount", "-o", "remount,ro", pole.data_dir)
        with pole.box:
            await pole.until(lambda state: all(is_so(state) for is_so in told))
            assert not any(os.scandir(pole.data_dir))
            await pole.heard(1)
            disk.run("mount", "-o", "remount,rw", pole.data_dir)
            await pole.until(
                lambda state: is_recording(state) and not any(is_so(state) for is_so in told)
            )
