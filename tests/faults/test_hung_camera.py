"""A camera that hangs gets its streams anew, then loses its power for a moment, and records again.

In real time, so it takes minutes: the steps wait 60, 120 and 180 s. How often a day, across
restarts, is in `tests/unit/test_camera_watchdog.py`, with a clock moved by hand.
"""

import asyncio

import psutil
import pytest

from agent.app.camera_watchdog import POWER_AFTER_S
from tests.box_process import CameraProcess, camera_in
from tests.faults import test_board_faults
from tests.faults.test_board_faults import CLOCK, Pole, codes, recording

city = test_board_faults.city
PATIENCE_S = POWER_AFTER_S + 120.0


async def relay(line, camera, cuts):
    """The relay between the box's output and the camera's supply."""
    was = "1"
    while True:
        level = line.read_text().strip() if line.exists() else was
        if level != was:
            was = level
            if level == "0":
                cuts.append(CLOCK.monotonic_s())
                camera.process.kill()
                await asyncio.to_thread(camera.process.wait)
            elif level == "1":
                camera.start()
        await CLOCK.sleep_s(0.1)


def of_cameras(telemetry):
    return {code for code in codes(telemetry) if code.startswith("camera.")}


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_hung_camera_is_switched_off_and_on_by_its_relay_and_the_center_knows_why(
    city, tmp_path, drawn_loops
):
    camera = CameraProcess(tmp_path, "camera", *drawn_loops)
    gate = camera.settings("gate", detect=False, look=False, power_output="power")
    output = {
        "output_id": "power",
        "purpose": "camera-power",
        "line": "power",
        "is_on_when_safe": True,
        "max_on_s": 30.0,
    }
    pole = Pole(tmp_path, "box-1", *city, cameras=[gate], pole={"outputs": [output]})
    cuts: list[float] = []
    with camera:
        async with pole.running():
            await pole.until(lambda state: camera_in(state, "gate")["is_recording"])
            switching = asyncio.create_task(relay(pole.lines / "power", camera, cuts))
            psutil.Process(camera.process.pid).suspend()
            try:
                await pole.told(lambda t: not recording(t) and of_cameras(t), "its loss not told")
                async with asyncio.timeout(PATIENCE_S):
                    while not cuts:
                        await CLOCK.sleep_s(1.0)
            finally:
                if not cuts:
                    camera.process.kill()  # stopped, it can't end in order
            well = await pole.told(
                lambda t: recording(t) and "camera.power_cycled" in codes(t), "not well, or why"
            )
            assert of_cameras(well) == {"camera.power_cycled"}
            assert len(cuts) == 1
            switching.cancel()
