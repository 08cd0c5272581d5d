"""A whole box in event-only mode: no video on its disk until an event, then all of the event."""

import json
import os
import signal
import sqlite3
import time
from contextlib import closing, suppress
from datetime import timedelta
from urllib.request import urlopen

import psutil
import pytest

from agent.buffer import orders
from agent.buffer.index import from_micros
from agent.buffer.reading import camera_folder
from agent.core.clock import SystemClock
from agent.core.errors import StorageError
from agent.messages.locking import LockSpan
from agent.settings.model import BufferSettings
from tests.box_process import BoxProcess, CameraProcess, camera_in, faults_in
from tests.footage_maker import make_clip
from tests.recording import frames_in

PATIENCE_S = 60.0
CLOCK = SystemClock()


def closed(folder):
    """Return the (path, start, end) of all segments that are whole."""
    with (
        suppress(sqlite3.OperationalError),
        closing(sqlite3.connect(f"file:{folder}/index.db?mode=ro", uri=True)) as db,
    ):
        return db.execute(
            "SELECT path, start_utc_us, start_utc_us + duration_us FROM segments"
            " WHERE state = 'closed' ORDER BY start_utc_us"
        ).fetchall()
    return []


def until(is_so, box):
    deadline_s = time.monotonic() + PATIENCE_S
    while not (found := is_so()):
        assert time.monotonic() < deadline_s, box.said()[-3000:]
        time.sleep(0.1)
    return found


def test_nothing_is_on_the_disk_until_an_event_which_outlives_a_kill(tmp_path):
    clip = make_clip(tmp_path / "main.mp4", fps=10, seconds=3)
    with CameraProcess(tmp_path, "gate", clip, clip) as camera:
        told = {
            "cameras": [camera.settings("gate", look=False, detect=False)],
            "buffer": {"segment_s": 2.0, "min_free_bytes": 0, "mode": "events"},
        }
        with BoxProcess(tmp_path, told) as box:
            folder = camera_folder(box.data_dir, "gate")
            rows = until(lambda: len(r := closed(folder)) >= 3 and r, box)
            assert {path.split("/")[0] for path, _, _ in rows} == {"staged"}
            assert not (folder / "video").exists()
            box.until(lambda state: camera_in(state, "gate")["is_event_only"])
            shown = timeline(box)
            assert shown["held_segments"]
            assert (shown["segments"], shown["gaps"]) == ([], [])

            (pid,) = [p.pid for p in box.children() if p.name() == "camera-gate"]
            os.kill(pid, signal.SIGKILL)  # what is in memory is not the worker's
            _, start_us, end_us = rows[1]
            order = LockSpan(
                request_id="1",
                lock_id="7",
                since=from_micros(start_us + 500_000),
                until=from_micros(end_us - 500_000),
                incident_id="7",
                approver="Kim",
                expires_at=CLOCK.utc_now() + timedelta(days=1),
            )
            until(lambda: given(folder, order), box)
            written = until(lambda: list((folder / "video").rglob("main-*[0-9].mp4")), box)
            assert [frames_in(path) for path in written] == [20]
    assert written[0].name == rows[1][0].rpartition("/")[2]


def test_a_disk_that_is_written_too_much_is_spared_by_event_only_mode_which_is_told(tmp_path):
    written_before = io_bytes()
    (tmp_path / "try").write_bytes(bytes(1 << 20))
    if io_bytes() == written_before:
        pytest.skip("this folder lies in memory, where nothing is written")
    clip = make_clip(tmp_path / "main.mp4", fps=10, seconds=3, size_px=(1280, 960))
    budget = {"segment_s": 2.0, "min_free_bytes": 0, "write_budget_bytes_per_day": 4_000_000}
    with CameraProcess(tmp_path, "gate", clip, clip) as camera:
        gate = camera.settings("gate", look=False, detect=False)
        turning, events = (
            BoxProcess(tmp_path, {"cameras": [gate], "buffer": budget | more}, name)
            for name, more in (
                ("turning", {"over_budget": "events"}),
                ("events", {"mode": "events"}),
            )
        )
        with turning, events:
            spared = ("storage.spared", "gate")
            state = turning.until(lambda state: spared in faults_in(state), PATIENCE_S)
            folder = camera_folder(turning.data_dir, "gate")
            on_disk = [path for path, _, _ in closed(folder) if path.startswith("video")]
            assert on_disk  # all of it, until then
            until(lambda: sum(path.startswith("staged") for path, _, _ in closed(folder)), turning)
            turning.until(lambda state: camera_in(state, "gate")["is_event_only"])
            assert camera_in(state, "gate")["gaps"] == camera_in(turning.state(), "gate")["gaps"]
            assert set(on_disk) <= {path for path, _, _ in closed(folder)}
            never = events.until(lambda state: camera_in(state, "gate")["is_event_only"])
            over = ("storage.write_budget", "gate")
            assert {over, spared}.isdisjoint(faults_in(never))
            folder = camera_folder(events.data_dir, "gate")
            until(lambda: len(closed(folder)) >= 3, events)  # it records, too


def io_bytes():
    """Return what this process has had written to disks."""
    return psutil.Process().io_counters().write_bytes


def timeline(box):
    """Return what the page's strip shows."""
    address = f"http://127.0.0.1:{box.port}/api/cameras/gate/timeline?last_s=600"
    with urlopen(address, timeout=10) as answer:
        return json.load(answer)


def given(folder, order):
    """Leave the order with the worker; one that is just starting can't take it yet."""
    with suppress(StorageError):
        orders.give(folder, order, BufferSettings(), CLOCK)
        return True
    return False
