"""A whole worker: one that has grown too large is replaced, and no other camera notices."""

import contextlib
import sqlite3
import sys

import pytest

from agent.buffer.index import INDEX_FILE
from agent.buffer.reading import camera_folder
from tests.box_process import BoxProcess, CameraProcess
from tests.camera_zoo import eventually
from tests.footage_maker import make_clip

TOO_LITTLE_BYTES = 64 * 1024 * 1024  # a worker has a little more as soon as both streams are open


@pytest.fixture
def clips(tmp_path):
    return [
        make_clip(tmp_path / f"{name}.mp4", size_px=size_px)
        for name, size_px in (("main", (320, 240)), ("sub", (160, 120)))
    ]


def rows(box, camera_id, query):
    file = camera_folder(box.data_dir, camera_id) / INDEX_FILE
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as index:
        return index.execute(query).fetchall()


def test_a_worker_that_has_grown_is_replaced_and_the_gap_says_so(tmp_path, clips, capsys):
    def closed_gaps(camera_id):
        query = "SELECT cause, (to_utc_us - from_utc_us) / 1e6 FROM gaps WHERE to_utc_us NOT NULL"
        return rows(box, camera_id, query)

    with (
        CameraProcess(tmp_path, "gate", *clips) as gate,
        CameraProcess(tmp_path, "yard", *clips) as yard,
    ):
        told = [
            gate.settings("gate", max_rss_bytes=TOO_LITTLE_BYTES, detect=False),
            yard.settings("yard", detect=False),
        ]
        with BoxProcess(tmp_path, {"cameras": told}) as box:
            box.until_said("worker has grown")
            eventually(lambda: closed_gaps("gate"), box.said)
            eventually(lambda: rows(box, "yard", "SELECT 1 FROM segments"), box.said)
    cause, seconds = closed_gaps("gate")[0]
    with capsys.disabled():
        sys.stdout.write(f"\nreplacing a worker cost {seconds:.2f} s of video\n")
    assert cause == "recycled"
    assert rows(box, "yard", "SELECT ended_cause FROM runs") == [("stopped",)]
    assert closed_gaps("yard") == []
