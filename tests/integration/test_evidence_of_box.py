"""A running box makes evidence by itself: a clip over a kill -9 is whole, and tells of it."""

import json
import os
import signal
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

import psutil

from agent.buffer.reading import camera_folder
from tests.box_process import BoxProcess, CameraProcess
from tests.chained_tape import poleside
from tests.footage_maker import make_clip
from tests.recording import frames_in


def worker_of(box) -> psutil.Process:
    """The process that holds the camera's lock file."""
    lock = camera_folder(box.data_dir, "gate") / ".worker.lock"
    for process in psutil.Process(box.process.pid).children(recursive=True):
        handles = Path(f"/proc/{process.pid}/fd").iterdir()
        if any(handle.readlink() == lock for handle in handles):
            return process
    raise AssertionError("no worker")


def until_segments(box, count, within_s=40.0):
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        index = camera_folder(box.data_dir, "gate") / "index.db"
        if index.exists():
            with (
                suppress(sqlite3.OperationalError),  # its tables are being made
                closing(sqlite3.connect(f"file:{index}?mode=ro", uri=True)) as db,
            ):
                query = "SELECT count(*) FROM segments WHERE state = 'closed' AND stream = ?"
                if all(db.execute(query, (s,)).fetchone()[0] >= count for s in ("main", "sub")):
                    return
        time.sleep(0.2)
    raise AssertionError(box.said()[-3000:])


def test_a_clip_of_each_stream_over_a_killed_worker_is_whole_and_tells_it(tmp_path):
    main = make_clip(tmp_path / "main.mp4", seconds=6)
    sub = make_clip(tmp_path / "sub.mp4", fps=5, seconds=6, size_px=(160, 120))
    camera = CameraProcess(tmp_path, "gate", main, sub)
    settings = {
        "cameras": [camera.settings("gate", detect=False, record_sub=True)],
        "buffer": {"segment_s": 2.0, "min_free_bytes": 0},
    }
    with camera, BoxProcess(tmp_path, settings) as box:
        until_segments(box, 2)
        time.sleep(1.5)  # something is in the open segment
        os.kill(worker_of(box).pid, signal.SIGKILL)
        until_segments(box, 5)
        for stream in ("main", "sub"):
            check_clip(box, stream, tmp_path / f"{stream}.mp4")


def check_clip(box, stream, out):
    done = poleside(
        *("clip", "export", "--camera", "gate", "--last", "60", "--out", out, "--json"),
        *("--data-dir", box.data_dir, "--by", "Lee", "--incident", "7", "--stream", stream),
    )
    facts = json.loads(done.stdout)
    assert (facts["stream"], facts["sealed"], facts["whole"]) == (stream, True, True), facts
    key = box.data_dir / "keys" / "box-p256.jwk.json"
    told = poleside("clip", "verify", out, "--box-key", key, "--json")
    assert told.returncode == 0, told.stdout
    verdict = json.loads(told.stdout)
    assert verdict["key_given"]
    assert verdict["gops_signed_when_recorded"] > 3
    assert any("after an interruption" in note for note in verdict["notes"]), verdict
    assert frames_in(out) == facts["frames"]
