"""What goes wrong at the board and on the pole reaches the center as the box's state.

One whole box on a simulated board: its lines and its thermometer are files. Hours of it are not
needed: bounce, a storm of edges, a stuck button, a sensor that lies or is gone.
"""

import asyncio

import pytest

from agent.contract.events import EventKind, Phase
from agent.contract.topics import BoxAddress
from agent.core.clock import SystemClock
from tests.box_process import HOST, BoxProcess
from tests.brokers import Mosquitto
from tests.faults.test_board_faults import codes, eventually
from tests.spine import make_center, running

ADDRESS = BoxAddress("site-1", "box-1")
CLOCK = SystemClock()


@pytest.fixture
async def broker(tmp_path):
    mosquitto = Mosquitto(tmp_path / "broker", [ADDRESS])
    await mosquitto.start()
    yield mosquitto
    await mosquitto.stop()


def settings(broker, inputs):
    slow = {"active_low": False, "debounce_ms": 500}  # so that a busy machine is no bounce
    return {
        "broker": {
            "urls": [f"mqtt://{HOST}:{broker.port}"],
            "username": "box-1",
            "password": "secret-box-1",
        },
        "center": {"telemetry_s": 2.0},
        "pole": {"inputs": [{**slow, **entry} for entry in inputs]},
    }


async def presses(center):
    return [
        stored.event
        for stored in await center.events()
        if stored.event.data.kind is EventKind.EMERGENCY_BELL and stored.event.phase is Phase.NEW
    ]


async def test_a_bell_that_bounces_rings_once_stuck_and_storming_it_is_a_fault(broker, tmp_path):
    center = make_center(tmp_path / "center", broker.settings("center"))
    bell = {"input_id": "bell", "meaning": "bell", "line": "bell", "stuck_after_s": 4.0}
    wild = {"input_id": "wild", "meaning": "bell", "line": "wild", "stuck_after_s": 600.0}
    async with running(center):
        box = BoxProcess(tmp_path, settings(broker, [bell, wild]))
        with box:
            lines = box.data_dir / "run" / "lines"
            await eventually(
                center,
                lambda t: t.board.contacts == {"bell": "idle", "wild": "idle"},
                "no contact told",
            )
            for level in "10101":  # the button's contact bounces, then is held down
                (lines / "bell").write_text(level)
                await CLOCK.sleep_s(0.005)
            await eventually(center, lambda t: t.board.contacts["bell"] == "stuck", "not stuck")
            stuck = await eventually(
                center, lambda t: "pole.bell_stuck" in codes(t), "no fault of it"
            )
            assert stuck.state is not None
            assert len(await presses(center)) == 1
            (lines / "bell").write_text("0")
            await eventually(center, lambda t: t.board.contacts["bell"] == "idle", "not let go")

            storming = asyncio.create_task(storm(lines / "wild"))
            await eventually(center, lambda t: t.board.contacts["wild"] == "chattering", "no storm")
            await eventually(center, lambda t: "pole.bell_chatters" in codes(t), "no fault of it")
            storming.cancel()
            calm = await eventually(
                center, lambda t: t.board.contacts["wild"] in {"idle", "active"}, "-"
            )
            assert calm.processes
            assert len(await presses(center)) <= 4  # of hundreds of edges: told, not passed on


async def storm(line):
    """A wire that touches and lets go, fifty times a second."""
    level = 0
    while True:
        level = 1 - level
        line.write_text(str(level))
        await CLOCK.sleep_s(0.02)


@pytest.mark.long
async def test_a_core_that_stands_still_is_killed_and_the_center_hears_of_it(broker, tmp_path):
    center = make_center(tmp_path / "center", broker.settings("center"))
    async with running(center):
        box = BoxProcess(tmp_path, settings(broker, []))
        with box:
            await eventually(center, lambda t: _restarts(t, "core") == 0, "no core told")
            (core,) = [one for one in box.children() if "core_process" in " ".join(one.cmdline())]
            core.suspend()  # it lives, and feeds no watchdog
            await eventually(
                center, lambda t: _restarts(t, "core") == 1, "not restarted, or not told"
            )


def _restarts(telemetry, name):
    return next((one.restarts_total for one in telemetry.processes if one.name == name), None)


@pytest.mark.long
async def test_a_thermometer_that_lies_or_vanishes_is_told_and_heat_is_met_and_falls(
    broker, tmp_path
):
    center = make_center(tmp_path / "center", broker.settings("center"))
    async with running(center):
        box = BoxProcess(tmp_path, settings(broker, []))
        with box:
            sensor = box.data_dir / "run" / "lines" / "temperature"
            await eventually(center, lambda t: t.board.temperature_c == 45.0, "no degrees")
            sensor.parent.mkdir(exist_ok=True)
            sensor.write_text("82")
            hot = await eventually(
                center, lambda t: "board.sheds_for_heat" in codes(t), "detection not held back"
            )
            assert hot.board.heat_band == "critical"
            sensor.write_text("-273000")  # no temperature there is
            lying = await eventually(
                center, lambda t: "board.sensor_lost" in codes(t), "the lie is believed"
            )
            assert lying.board.temperature_c is None
            assert lying.board.heat_band == "critical"  # as before, until somebody knows
            sensor.write_text("40")
            await eventually(center, lambda t: t.board.heat_band == "normal", "still held back")
            (sensor.parent / "disk-life").write_text("97")
            worn = await eventually(
                center, lambda t: "disk.worn" in codes(t), "a worn disk, not told"
            )
            assert worn.board.disk_life_used_pct == 97
            sensor.write_text("no figure")
            gone = await eventually(
                center, lambda t: "board.sensor_lost" in codes(t), "gone, not told"
            )
            assert gone.board.temperature_c is None
