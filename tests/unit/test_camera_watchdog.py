"""A camera that stores nothing gets its streams anew, then its power, and then is left alone."""

import asyncio
from datetime import UTC, datetime

import pytest
from msgspec import ValidationError, convert

from agent.app.camera_watchdog import CYCLES_PER_DAY, PART, POWER_WAITS_S, CameraWatchdog
from agent.core.db import Database
from agent.messages.worker import (
    CameraState,
    CameraStatus,
    DetectionStatus,
    RecordingStatus,
    StreamStatus,
)
from agent.pole.outputs import Outputs
from agent.settings.model import CameraSettings, Settings
from agent.settings.pole import OutputSettings, Purpose
from hardware.boards.simulated_lines import FileLines
from tests.fake_clock import FakeClock

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
POWER = OutputSettings(
    output_id="power-1",
    purpose=Purpose.CAMERA_POWER,
    line="power-1",
    is_on_when_safe=True,
    max_on_s=30,
)
CAMERA = CameraSettings(camera_id="gate", main_url="rtsp://c/", power_output="power-1")


class Hub:
    """Stands for the workers' lines: says what a test puts in and counts restarts."""

    def __init__(self):
        self.state, self.frames, self.fault, self.restarts = CameraState.LOST, 0, None, 0

    def status(self, camera_id):
        return CameraStatus(
            camera_id=camera_id,
            main=StreamStatus(name="main", state=self.state, since=NOW),
            sub=None,
            recording=RecordingStatus(
                recording=False, frames_total=self.frames, fault_code=self.fault
            ),
            detection=DetectionStatus(state="ready", since=NOW),
        )

    async def restart_streams(self, camera_id):
        self.restarts += 1


class Pole:
    """A watchdog on real outputs made of files and a real database."""

    def __init__(self, folder):
        self.clock, self.hub, self.notes, self.folder = FakeClock(), Hub(), [], folder
        self.outputs = Outputs(self.clock, FileLines(folder / "lines"), (POWER,))
        self.db = Database(folder / "box.db", [PART])
        self.power_cuts, self._tasks = 0, []

    async def begin(self):
        self.watchdog = CameraWatchdog(
            self.db, self.hub, self.outputs, lambda: (CAMERA,), self._note, self.clock
        )
        self._tasks = [asyncio.ensure_future(part.run()) for part in (self.outputs, self.watchdog)]
        await self.clock.rests(2)

    async def end(self):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _note(self, operation, outcome, detail):
        self.notes.append((operation, outcome))
        await asyncio.sleep(0)

    async def live(self, seconds):
        """Let time pass in looks; count how often the power goes."""
        was = self.level()
        for _ in range(int(seconds / 5)):
            await self.clock.advance(5.0)
            self.power_cuts += was == "1" and self.level() == "0"
            was = self.level()

    def level(self):
        return (self.folder / "lines" / "power-1").read_text()

    def codes(self):
        return [fault.code for fault in self.watchdog.faults()]


@pytest.fixture
async def pole(tmp_path):
    pole = Pole(tmp_path)
    await pole.db.start()
    await pole.begin()
    yield pole
    await pole.end()
    await pole.outputs.stop()
    await pole.db.stop()


async def test_streams_are_restarted_first_and_power_is_taken_last(pole):
    await pole.live(55)
    assert pole.hub.restarts == 0
    await pole.live(70)
    assert (pole.hub.restarts, pole.power_cuts) == (2, 0)
    await pole.live(70)
    assert (pole.hub.restarts, pole.power_cuts) == (2, 1)
    assert pole.level() == "1"  # it has its power again
    assert pole.notes == [("camera.power-cycle", "done")]
    assert pole.codes() == ["camera.power_cycled"]


async def test_power_is_taken_so_often_a_day_and_no_more_across_restarts_of_the_core(pole):
    await pole.live(600)
    cuts = pole.power_cuts
    assert 0 < cuts < CYCLES_PER_DAY
    await pole.end()
    await pole.begin()
    await pole.live(3600)
    assert pole.power_cuts == CYCLES_PER_DAY
    assert pole.codes() == ["camera.power_cycles_spent"]


async def test_that_the_days_cycles_are_spent_is_told_as_soon_as_the_last_did_not_help(pole):
    while pole.power_cuts < CYCLES_PER_DAY:
        await pole.live(5)
    assert pole.codes() == ["camera.power_cycled"]  # it is starting
    await pole.live(POWER_WAITS_S[0] + 10)
    assert pole.codes() == ["camera.power_cycles_spent"]
    pole.clock.pass_s(86_400.0)
    await pole.live(10)
    assert pole.codes() == ["camera.power_cycled"]  # a new day: it is tried again


async def test_a_camera_that_stores_again_is_forgiven_and_needs_no_more(pole):
    await pole.live(130)
    for _ in range(60):
        pole.hub.frames += 10
        pole.hub.state = CameraState.ONLINE
        await pole.live(5)
    assert (pole.hub.restarts, pole.power_cuts, pole.codes()) == (2, 0, [])


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        (CameraState.AUTH_FAILED, None),
        (CameraState.NOT_A_CAMERA, None),
        (CameraState.LOST, "storage.full"),
    ],
)
async def test_what_power_can_not_mend_is_left_alone(pole, state, fault):
    pole.hub.state, pole.hub.fault = state, fault
    await pole.live(600)
    assert (pole.hub.restarts, pole.power_cuts) == (0, 0)


async def test_a_camera_that_sends_keeps_its_power_whatever_hinders_the_disk(pole):
    pole.hub.state = CameraState.ONLINE
    await pole.live(600)
    assert (pole.hub.restarts, pole.power_cuts) == (2, 0)


def test_two_cameras_that_hang_on_one_output_are_refused():
    power = {"output_id": "power-1", "purpose": "camera-power", "line": "x"}
    cameras = [
        {"camera_id": name, "main_url": f"rtsp://{name}/", "power_output": "power-1"}
        for name in ("gate", "yard")
    ]
    with pytest.raises(ValidationError, match="two cameras have one `power_output`, `power-1`"):
        convert({"cameras": cameras, "pole": {"outputs": [power]}}, Settings)


def test_only_an_output_for_camera_power_can_feed_a_camera():
    camera = {"camera_id": "gate", "main_url": "rtsp://c/", "power_output": "siren"}
    siren = {"output_id": "siren", "purpose": "siren", "line": "x"}
    with pytest.raises(ValidationError, match="camera-power"):
        convert({"cameras": [camera], "pole": {"outputs": [siren]}}, Settings)
