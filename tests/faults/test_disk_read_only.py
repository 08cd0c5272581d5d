"""A box whose disk takes nothing starts: its bell is heard, its page tells, it heals by itself."""

import asyncio
import os

import pytest

from agent.app.run_dir import run_dir
from agent.buffer.medium import is_read_only
from agent.contract.events import EventKind
from agent.contract.topics import BoxAddress
from agent.core.clock import SystemClock
from agent.settings.model import Settings
from tests.box_process import HOST, BoxProcess, CameraProcess, camera_in, faults_in
from tests.brokers import Mosquitto
from tests.faults.crash_lab import disk
from tests.footage_maker import make_clip
from tests.spine import make_center, running

PATIENCE_S = 90.0
CLOCK = SystemClock()


def test_a_folder_is_read_only_as_its_file_system_is_even_before_it_is_made(tmp_path):
    with disk.tmpfs(tmp_path / "disk", "size=1m") as mount:
        assert not is_read_only(mount / "cameras" / "gate")
        disk.run("mount", "-o", "remount,ro", mount)
        assert is_read_only(mount / "cameras" / "gate")
        disk.run("mount", "-o", "remount,rw", mount)
        assert not is_read_only(mount)


async def heard(center):
    """Wait until the center has the bell's event."""
    async with asyncio.timeout(PATIENCE_S):
        while not any(
            stored.event.data.kind is EventKind.EMERGENCY_BELL for stored in await center.events()
        ):
            await CLOCK.sleep_s(0.3)


@pytest.mark.timeout(400)
async def test_with_a_disk_that_is_read_only_the_box_starts_and_the_bell_is_heard(tmp_path):
    clip = make_clip(tmp_path / "main.mp4", seconds=4, size_px=(160, 120))
    camera = CameraProcess(tmp_path, "gate", clip, clip)
    broker = Mosquitto(tmp_path / "broker", [BoxAddress("site-1", "box-1")])
    data_dir = tmp_path / "box"
    lines = run_dir(Settings(data_dir=str(data_dir))) / "lines"
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
    with disk.tmpfs(data_dir, "size=80m"), camera:
        disk.run("mount", "-o", "remount,ro", data_dir)
        await broker.start()
        try:
            center = make_center(tmp_path / "center", broker.settings("center"))
            async with running(center):
                with BoxProcess(tmp_path, settings) as box:
                    await asyncio.to_thread(box.until, is_told_of, PATIENCE_S)
                    assert not any(os.scandir(data_dir))
                    lines.mkdir(exist_ok=True)
                    (lines / "bell").write_text("1")
                    await heard(center)
                    disk.run("mount", "-o", "remount,rw", data_dir)
                    await asyncio.to_thread(box.until, is_well, PATIENCE_S)
        finally:
            await broker.stop()


def is_told_of(state):
    told = faults_in(state)
    return ("disk.read_only", None) in told and ("camera.not_recorded", "gate") in told


def is_well(state):
    told = faults_in(state)
    return camera_in(state, "gate")["is_recording"] and not (
        {("disk.read_only", None), ("camera.not_recorded", "gate")} & set(told)
    )
