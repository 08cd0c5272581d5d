"""A camera that is seen and reaches no disk is an alarm within a minute, and over with the disk."""

import sqlite3
import time
from contextlib import closing, suppress

import pytest

from tests.box_process import BoxProcess, CameraProcess
from tests.faults.crash_lab import disk
from tests.footage_maker import make_clip


def incident(box, *, ended, within_s=75.0):
    """Wait for the incident in the box's own database; return its id."""
    until_s = time.monotonic() + within_s
    query = "SELECT event_id, subject FROM incidents WHERE kind = 'not-recorded'"
    query += f" AND ended_utc_us IS {'NOT' if ended else ''} NULL"
    while time.monotonic() < until_s:
        row = None
        with suppress(sqlite3.OperationalError):  # not there yet
            path = box.data_dir / "box.db"
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
                row = db.execute(query).fetchone()
        if row:
            assert row[1] == "gate"
            return row[0]
        time.sleep(0.3)
    raise AssertionError(box.said()[-3000:])


@pytest.mark.long
def test_a_missing_disk_is_told_and_its_return_too(tmp_path):
    clip = make_clip(tmp_path / "main.mp4", seconds=4, size_px=(160, 120))
    camera = CameraProcess(tmp_path, "gate", clip, clip)
    video = tmp_path / "box" / "cameras"
    video.mkdir(parents=True)
    settings = {
        "cameras": [camera.settings("gate", detect=False, look=False)],
        "buffer": {"segment_s": 2.0, "min_free_bytes": 0, "require_mount": str(video)},
    }
    with camera, BoxProcess(tmp_path, settings) as box:
        began = incident(box, ended=False)
        with disk.tmpfs(video, "size=50m"):
            try:
                assert incident(box, ended=True) == began
            finally:
                box.process.terminate()
                box.process.wait(30)
