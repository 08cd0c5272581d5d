"""A worker is replaced without losing or doubling a frame; whatever dies meanwhile is made up for.

A clip of three seconds is played in a loop: each of its frames can be told from the others.
"""

import json
import os
import random
import signal
import sqlite3
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

from agent.buffer.reading import camera_folder
from tests import growing_worker
from tests.box_process import BoxProcess, CameraProcess
from tests.chained_tape import poleside
from tests.footage_maker import make_clip
from tests.recorded_frames import recorded, skips

FPS, SECONDS = 10, 3
PATIENCE_S = 60.0


@pytest.fixture
def clip(tmp_path):
    return make_clip(tmp_path / "main.mp4", fps=FPS, seconds=SECONDS)


class Gate:
    """A box with one camera, and what its index says."""

    def __init__(self, box):
        self.box, self.folder = box, camera_folder(box.data_dir, "gate")

    def rows(self, query):
        with (
            suppress(sqlite3.OperationalError),
            closing(sqlite3.connect(f"file:{self.folder}/index.db?mode=ro", uri=True)) as db,
        ):
            return db.execute(query).fetchall()
        return []

    def workers(self):
        """Return the processes of the camera: the one that has the lock first."""
        lock = self.folder / ".worker.lock"
        found = []
        for process in psutil.Process(self.box.process.pid).children(recursive=True):
            with suppress(OSError, psutil.Error):
                if process.name() == "camera-gate":
                    handles = [h.readlink() for h in Path(f"/proc/{process.pid}/fd").iterdir()]
                    found.append((lock not in handles, process.pid))
        return [pid for _, pid in sorted(found)]

    def until(self, is_so, what):
        deadline_s = time.monotonic() + PATIENCE_S
        while not (found := is_so()):
            assert time.monotonic() < deadline_s, f"{what}:\n{self.box.said()[-4000:]}"
            time.sleep(0.05)
        return found

    def until_segments(self, more):
        """Wait until so many segments more are closed."""
        query = "SELECT count(*) FROM segments WHERE state='closed'"
        (before,) = (self.rows(query) or [(0,)])[0]
        self.until(lambda: (self.rows(query) or [(0,)])[0][0] >= before + more, "no segments")

    def order_handover(self):
        """Have the worker replaced; return (its pid, that of its successor) when both live."""
        (pid,) = self.until(lambda: len(w := self.workers()) == 1 and w, "no single worker")
        os.kill(pid, signal.SIGUSR1)
        return self.until(lambda: len(w := self.workers()) == 2 and w, "no successor")


def boxed(tmp_path, camera, **camera_settings):
    told = {
        "cameras": [camera.settings("gate", detect=False, **camera_settings)],
        "buffer": {"segment_s": 2.0, "min_free_bytes": 0},
    }
    return BoxProcess(tmp_path, told)


def test_every_frame_is_stored_once_and_no_gap_is_told(tmp_path, clip):
    with CameraProcess(tmp_path, "gate", clip, clip) as camera, boxed(tmp_path, camera) as box:
        gate = Gate(box)
        gate.until_segments(2)
        for _ in range(2):
            first, second = gate.order_handover()
            gate.until(lambda: gate.workers() == [second], "the first did not end")  # noqa: B023
            assert first != second
            gate.until_segments(2)
        out = tmp_path / "clip.mp4"
        done = poleside(
            *("clip", "export", "--camera", "gate", "--last", "60", "--out", out, "--json"),
            *("--data-dir", box.data_dir, "--by", "Lee", "--incident", "7"),
        )
        facts = json.loads(done.stdout)
        key = box.data_dir / "keys" / "box-p256.jwk.json"
        told = poleside("clip", "verify", out, "--box-key", key, "--json")
        box.stop()
    assert facts["whole"], facts
    assert told.returncode == 0, told.stdout
    assert gate.rows("SELECT ended_cause FROM runs")[:2] == [("handed-over",)] * 2
    assert gate.rows("SELECT cause FROM gaps") == [("stopped",)]
    numbers = recorded(gate.folder, clip)
    assert len(numbers) > 6 * 2 * FPS
    assert skips(numbers, FPS * SECONDS) == []


class GrowingBox(BoxProcess):
    """A box whose workers leak when they are told to, and count as steady after `steady_s`."""

    def __init__(self, folder, settings, steady_s):
        super().__init__(folder, settings)
        self._command = [
            *(sys.executable, "-m", "tests.growing_worker"),
            *(str(self.settings_file), str(steady_s)),
        ]

    def leak(self, pid):
        self.settings_file.with_suffix(growing_worker.LEAK).write_text(str(pid))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("steady_s", [2.0, pytest.param(60.0, marks=pytest.mark.long)])
def test_a_worker_that_grows_past_its_budget_is_replaced_without_a_gap(tmp_path, clip, steady_s):
    budget = growing_worker.LEAK_BYTES
    with CameraProcess(tmp_path, "gate", clip, clip) as camera:
        told = {
            "cameras": [camera.settings("gate", detect=False, max_rss_bytes=budget)],
            "buffer": {"segment_s": 2.0, "min_free_bytes": 0},
        }
        with GrowingBox(tmp_path, told, steady_s) as box:
            gate = Gate(box)
            gate.until_segments(1)
            (first,) = gate.workers()
            time.sleep(steady_s)
            box.leak(first)
            box.until_said("worker has grown", PATIENCE_S)
            gate.until(lambda: (w := gate.workers()) and first not in w, "not replaced")
            gate.until_segments(2)
            (row,) = [p for p in box.state()["processes"] if p["name"] == "camera-gate"]
            box.stop()
    assert row["restarts"] == 0  # it was no failure
    assert gate.rows("SELECT ended_cause FROM runs ORDER BY rowid")[0] == ("handed-over",)
    assert gate.rows("SELECT cause FROM gaps") == [("stopped",)]
    numbers = recorded(gate.folder, clip)
    assert len(numbers) > 4 * FPS
    assert skips(numbers, FPS * SECONDS) == []


@pytest.mark.parametrize("victim", ["predecessor", "successor"])
def test_kill_9_of_either_costs_what_it_always_costs(tmp_path, clip, victim):
    chance = random.Random(victim)
    with CameraProcess(tmp_path, "gate", clip, clip) as camera, boxed(tmp_path, camera) as box:
        gate = Gate(box)
        gate.until_segments(1)
        for _ in range(2):
            first, second = gate.order_handover()
            time.sleep(chance.uniform(0.0, 2.5))
            with suppress(ProcessLookupError):
                os.kill(first if victim == "predecessor" else second, signal.SIGKILL)
            gate.until_segments(2)
        box.stop()
    numbers = recorded(gate.folder, clip)
    lost = skips(numbers, FPS * SECONDS)
    gaps = gate.rows("SELECT cause, to_utc_us - from_utc_us FROM gaps WHERE to_utc_us NOT NULL")
    # a doubled frame would be a skip of nearly a whole round
    assert all(skip < FPS * SECONDS - 5 for skip in lost), (lost, gaps)
    assert len(gaps) >= len(lost)
    assert {cause for cause, _ in gaps} <= {"agent-killed", "recycled", "stopped", "camera-closed"}
