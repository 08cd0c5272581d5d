"""A box killed with its camera's index overwritten loses neither account nor proof of the past."""

import contextlib
import json
import subprocess
import sys

import psutil
import pytest

from agent.buffer.duplicate import VIDEO
from agent.buffer.duplicate_files import files_of
from agent.buffer.index import INDEX_FILE
from tests.box_process import BoxProcess, CameraProcess, camera_in
from tests.footage_maker import make_clip

BUFFER = {"segment_s": 2.0, "min_free_bytes": 0}


def told(*words):
    command = [sys.executable, "-m", "agent.local.cli.main", *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.JSONDecoder().raw_decode(done.stdout)[0]


@pytest.fixture
def box(tmp_path):
    main = make_clip(tmp_path / "main.mp4", seconds=10)
    with CameraProcess(tmp_path / "camera", "camera", main, main) as camera:
        settings = {"cameras": [camera.settings("gate", detect=False)], "buffer": BUFFER}
        with BoxProcess(tmp_path / "box", settings) as box:
            yield box


def killed(box):
    """Kill -9 all of the box at once, as a power cut does."""
    family = psutil.Process(box.process.pid).children(recursive=True)
    for process in (box.process, *family):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    box.process.wait(10)
    psutil.wait_procs(family, timeout=10)


def recorded(box, seconds):
    box.until(lambda state: (camera_in(state, "gate")["recorded_s"] or 0) > seconds, 60.0)


def test_gaps_and_signatures_outlive_a_killed_box_whose_index_was_overwritten(box, tmp_path):
    folder, at = box.data_dir / "cameras" / "gate", ("--data-dir", box.data_dir)
    recorded(box, 8)
    box.stop()
    assert files_of(folder, VIDEO)  # at a stop everything is told twice
    before = told("buffer", "gaps", *at)["gaps"]
    (gate,) = told("buffer", "status", *at)["cameras"]
    assert [gap["until"] for gap in before] == [None]  # it is off

    box.start()
    recorded(box, 14)
    killed(box)
    index = folder / INDEX_FILE
    for suffix in ("-wal", "-shm"):
        index.with_name(f"{INDEX_FILE}{suffix}").unlink(missing_ok=True)
    index.write_bytes(b"\0" * index.stat().st_size)
    box.start()
    recorded(box, 20)

    after = told("buffer", "gaps", *at)["gaps"]
    assert (after[0]["since"], after[0]["cause"]) == (before[0]["since"], before[0]["cause"])
    assert len(after) == 2  # the stop, and the kill
    assert after[0]["until"] < after[1]["since"] < after[1]["until"]
    span = ("--from", gate["first_at"], "--to", gate["last_until"])
    out = tmp_path / "before.mp4"
    made = told("clip", "export", "--camera", "gate", *span, "--out", out, *at)
    assert (made["whole"], made["holes"]) == (True, [])
    verdict = told("clip", "verify", out)
    assert verdict["gops_signed_when_recorded"] == verdict["gops"] > 3
    assert told("buffer", "check", *at)["ok"]
