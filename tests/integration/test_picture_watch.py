"""From a camera's frames to the event at the center: found, told once, ended, and learned for good.

Real frames go through the worker's watch; its findings go through the core's assembler.
"""

import asyncio
import io

import av
import numpy as np
import pytest

from agent.app.picture_watch import PictureWatch, is_grey
from agent.contract.events import EventKind, StreamName
from agent.detect.picture_health_baseline import BASELINE_FILE
from agent.events.picture_faults import CONFIRM_S
from agent.messages import worker
from agent.messages.picture import PictureKind
from agent.messages.vision import HitState
from agent.settings.model import CameraSettings
from agent.simulators import drawn_scene
from tests.fake_clock import FakeClock
from tests.incident_box import IncidentBox
from tests.picture_faults import LEARNED_S, WITHIN_S

CAMERA = CameraSettings(camera_id="gate", main_url="rtsp://127.0.0.1/a")
RANDOM = np.random.default_rng(5)


def frame_of(rgb):
    noisy = (rgb + RANDOM.normal(0, 2, rgb.shape)).clip(0, 255).astype(np.uint8)
    return av.VideoFrame.from_ndarray(noisy, format="rgb24").reformat(format="yuv420p")


STREET = [frame_of(rgb) for rgb in drawn_scene.frames(320, 180, 0.5, 40)]
PAINTED = [frame_of(np.full((180, 320, 3), (120, 30, 30))) for _ in range(10)]


class Worker:
    """One camera's watch in simulated time; `findings` come off the wire."""

    def __init__(self, folder, clock, camera=CAMERA):
        self.clock, self.findings = clock, []
        self.watch = PictureWatch(camera, folder, self._told, clock)

    def _told(self, finding):
        self.findings.append(worker.decode_to_core(worker.encode(finding)))

    def show(self, frames, seconds):
        self.findings.clear()
        for number in range(round(seconds / 2)):
            self.clock.pass_s(2.0)
            frame = frames[number % len(frames)]
            self.watch.look(frame, self.clock.utc_now(), self.clock.monotonic_s())
        return [(one.kind, one.state) for one in self.findings]


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def gate(tmp_path, clock):
    one = Worker(tmp_path, clock)
    assert one.show(STREET, LEARNED_S) == []
    return one


def test_a_fault_is_found_with_its_picture_said_again_and_ended(gate):
    told = gate.show(PAINTED, WITHIN_S)
    assert told[0] == (PictureKind.COVERED, HitState.BEGAN)
    assert set(told[1:]) == {(PictureKind.COVERED, HitState.CONTINUES)}
    assert {one.finding_id for one in gate.findings} == {gate.findings[0].finding_id}
    with av.open(io.BytesIO(gate.findings[-1].picture_jpeg), format="mjpeg") as picture:
        assert next(picture.decode(video=0)).width == gate.findings[-1].picture_width_px
    (trouble,) = gate.watch.troubles
    assert (trouble.kind, trouble.since) == (PictureKind.COVERED, gate.findings[0].began_at)

    assert gate.show(STREET, 120)[-1] == (PictureKind.COVERED, HitState.ENDED)
    assert gate.watch.troubles == ()


def test_a_restarted_worker_knows_the_camera_and_another_one_is_learned_anew(gate, tmp_path, clock):
    gate.watch.close()
    assert (tmp_path / BASELINE_FILE).exists()
    again = Worker(tmp_path, clock)
    assert (PictureKind.COVERED, HitState.BEGAN) in again.show(PAINTED, 100)

    other = CameraSettings(camera_id="gate", main_url="rtsp://127.0.0.1/b")
    swapped = Worker(tmp_path, clock, other)
    assert swapped.show([frame.reformat(format="gray") for frame in STREET[::-1]], 600) == []


def test_another_picture_size_ends_what_was_told_and_begins_anew(gate):
    gate.show(PAINTED, WITHIN_S)
    larger = [frame.reformat(width=640, height=360) for frame in STREET]
    assert gate.show(larger, LEARNED_S) == [(PictureKind.COVERED, HitState.ENDED)]


def test_a_full_disk_stops_no_look(gate, tmp_path):
    gate.watch.close()
    (tmp_path / BASELINE_FILE).unlink()
    (tmp_path / f"{BASELINE_FILE}.tmp").mkdir()  # as good as a disk that refuses
    gate.watch.close()
    assert (PictureKind.COVERED, HitState.BEGAN) in gate.show(PAINTED, 100)


def test_infrared_light_leaves_no_colour():
    assert not is_grey(STREET[0])
    assert is_grey(STREET[0].reformat(format="gray"))
    assert is_grey(STREET[0].reformat(format="gray").reformat(format="yuv420p"))


async def test_the_center_is_told_once_and_of_the_end(gate, tmp_path, clock):
    gate.show(PAINTED, WITHIN_S)
    covered = list(gate.findings)
    gate.show(STREET, 120)
    async with IncidentBox(tmp_path, clock) as box:
        for finding in covered[1:]:  # the core was away when it began
            await box.assembler.take_finding(finding)
        assert await box.open_keys() == ["picture/gate/picture.covered"]
        await box.assembler.take_finding(gate.findings[-1])
        new, end = await box.told(StreamName.EVENT)
    assert (new.phase.value, end.phase.value) == ("new", "end")
    assert new.data.kind is EventKind.PICTURE_FAULT
    assert (new.data.code, end.data.code) == ("picture.covered",) * 2
    assert new.data.picture.jpeg == covered[0].picture_jpeg
    assert new.data.started_at == covered[0].began_at
    assert end.data.end_reason == "well-again"
    assert end.data.ended_at > new.data.started_at


async def test_what_nobody_confirms_any_more_is_over(gate, tmp_path, clock):
    gate.show(PAINTED, 100)
    async with IncidentBox(tmp_path, clock) as box:
        await box.assembler.take_finding(gate.findings[-1])
        box.assembler.expect("gate")
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(box.assembler.run())
            await clock.advance(CONFIRM_S - 5)
            assert await box.open_keys() != []
            await clock.advance(10)
            running.cancel()
        assert "picture/gate/picture.covered" not in await box.open_keys()
