"""One damaged file of the shipped model: its cameras look with the other one, and it is told."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import av
import msgspec
import pytest

import agent
from agent.app.eyes import Eyes
from agent.app.look_rhythm import IDLE_LOOK_EVERY_S
from agent.core.clock import SystemClock
from agent.detect.client import DetectClient
from agent.detect.manifest import SHIPPED_MODEL, load_manifest
from agent.exam.sitting import MediaClock
from agent.health.checks import detector_faults
from agent.messages.capacity import CAPACITY_FILE, DetectorCapacity
from agent.settings.model import CameraSettings
from agent.simulators.drawn_scene import WALK_BEGINS_S, frames
from tests.faults.test_detector_engines import SUPERVISED

PATIENCE_S = 60.0
FILES = tuple(form.file for form in load_manifest().forms)


@pytest.fixture
def installed(tmp_path):
    """Return a folder with an installation of its own, whose files may be damaged."""
    package, folder = Path(agent.__file__).parent, tmp_path / "installed"
    shutil.copytree(package, folder / "agent", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.parametrize("damaged", FILES)
def test_cameras_of_both_shapes_go_on_with_the_file_that_is_whole(tmp_path, installed, damaged):
    file = installed / "agent" / SHIPPED_MODEL.relative_to(Path(agent.__file__).parent) / damaged
    file.write_bytes(file.read_bytes()[:-1])
    data, config = tmp_path / "data", tmp_path / "box.toml"
    config.write_text(
        f'data_dir = "{data}"\n[board]\nkind = "simulated"\n'
        '[[cameras]]\ncamera_id = "gate"\nmain_url = "rtsp://127.0.0.1:9/none"\n'
    )
    with (tmp_path / "log").open("wb") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-c", SUPERVISED, str(config)],
            cwd=installed,
            env=os.environ | {"PYTHONPATH": str(installed)},
            stderr=log,
            stdout=log,
        )
    client = DetectClient(data / "run" / "detect.sock", SystemClock())
    try:
        until_s = time.monotonic() + PATIENCE_S
        for width_px, height_px in ((640, 480), (640, 360)):
            while seen_by(client, width_px, height_px) != ["person"]:
                said = (tmp_path / "log").read_text()
                assert time.monotonic() < until_s, said
                assert supervisor.poll() is None, said
        capacity = (data / "run" / CAPACITY_FILE).read_bytes()
        told = msgspec.json.decode(capacity, type=DetectorCapacity)
        (fault,) = detector_faults([], told)
        assert fault.code == "detector.file_lost"
        assert damaged in fault.sentence_en
        assert told.is_measured
        (whole,) = (form for form in load_manifest().forms if form.file != damaged)
        assert [one.sha256 for one in told.shapes] == [whole.sha256]
    finally:
        client.close()
        supervisor.terminate()
        supervisor.wait(30)
    assert (tmp_path / "log").read_text().count("process started") == 1  # it never fell


def seen_by(client, width_px, height_px):
    """Return what a camera of that size sees of somebody who walks by."""
    camera, clock = CameraSettings(camera_id="gate", main_url="rtsp://b/"), MediaClock()
    eyes = Eyes(camera, client, load_manifest(), lambda _: None, clock)
    *_, picture = frames(width_px, height_px, 1.0, WALK_BEGINS_S + 6)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
    for _ in range(3):
        clock.now_s += IDLE_LOOK_EVERY_S
        eyes.look(frame, clock.now_s)
    return sorted({thing.label for thing in eyes.view.found if thing.score > 0.4})
