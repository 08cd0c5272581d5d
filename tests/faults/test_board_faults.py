"""A whole box in heat, with a sensor that hangs: it lives, and the center knows.

The board is the simulated one: its thermometer is a file, or a FIFO on which every read blocks.
"""

import asyncio
import os

import pytest

from agent.contract.topics import BoxAddress
from agent.core.clock import SystemClock
from tests.box_process import HOST, BoxProcess
from tests.brokers import Mosquitto
from tests.spine import make_center, running

SITE, BOX = "site-1", "box-1"
PATIENCE_S = 60.0
CLOCK = SystemClock()


async def eventually(center, is_so, what):
    """Wait until the center's last telemetry of the box is so."""
    telemetry = None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                views = await center.boxes()
                telemetry = views[0].telemetry if views else None
                if telemetry is not None and telemetry.board is not None and is_so(telemetry):
                    return telemetry
                await CLOCK.sleep_s(0.2)
    except TimeoutError:
        pytest.fail(f"{what}: {telemetry}")


def codes(telemetry):
    return {fault.code for fault in telemetry.faults}


@pytest.mark.long
async def test_heat_and_a_sensor_that_hangs_are_met_and_told_while_the_box_lives(tmp_path):
    mosquitto = Mosquitto(tmp_path / "broker", [BoxAddress(SITE, BOX)])
    await mosquitto.start()
    settings = {
        "site": SITE,
        "box": BOX,
        "broker": {
            "urls": [f"mqtt://{HOST}:{mosquitto.port}"],
            "username": BOX,
            "password": f"secret-{BOX}",
        },
        "center": {"telemetry_s": 2.0},
        "pole": {
            "inputs": [{"input_id": "door", "meaning": "door", "line": "door", "active_low": False}]
        },
    }
    center = make_center(tmp_path / "center", mosquitto.settings("center"))
    async with running(center):
        box = BoxProcess(tmp_path, settings)
        with box:
            lines = box.data_dir / "run" / "lines"
            cool = await eventually(
                center, lambda t: t.board.contacts == {"door": "idle"}, "no contact told"
            )
            assert (cool.board.heat_band, cool.board.temperature_c) == ("normal", 45.0)
            sensor = lines / "temperature"
            restarts = _restarts(cool)

            for celsius, band, told in (
                (71, "warm", set()),
                (76, "hot", {"board.hot"}),
                (82, "critical", {"board.too_hot"}),
            ):
                sensor.write_text(str(celsius))
                hot = await eventually(
                    center, lambda t, band=band: t.board.heat_band == band, f"not {band}"
                )
                assert hot.board.simulated is True
                await eventually(center, lambda t, told=told: told <= codes(t), f"{told} not told")
            assert "board.sheds_for_heat" in codes(hot)
            sensor.write_text("40")
            await eventually(center, lambda t: t.board.heat_band == "normal", "still held back")

            sensor.unlink()
            os.mkfifo(sensor)  # every read of it blocks from now on
            hung = await eventually(
                center, lambda t: t.board.silent == ("thermometers",), "hangs, and not told"
            )
            assert hung.board.temperature_c is None
            told = await eventually(
                center, lambda t: "board.part_silent" in codes(t), "no fault of it"
            )
            later = await eventually(
                center, lambda t: t.mono > told.mono + 25.0, "the core went along"
            )
            assert _restarts(later) == restarts
    await mosquitto.stop()


def _restarts(telemetry):
    return {one.name: one.restarts_total for one in telemetry.processes}
