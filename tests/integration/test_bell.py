"""The bell of a whole box: a press reaches the center as an alarm, an order sounds the siren."""

import asyncio
from pathlib import Path

import pytest

from agent.contract.commands import Actor, Output, ReplyState
from agent.contract.events import Asked, EventKind, Phase
from agent.contract.topics import BoxAddress
from agent.core.clock import SystemClock
from agent.simulators.center.commander import public_keys_file
from tests.box_process import HOST, BoxProcess, faults_in
from tests.brokers import Mosquitto
from tests.spine import make_center, running

SITE, BOX = "site-1", "box-1"
ADDRESS = BoxAddress(SITE, BOX)
BY = Actor(user="watcher", agency="city", case="case-1")
PATIENCE_S = 60.0
CLOCK = SystemClock()


async def eventually(look, what):
    async with asyncio.timeout(PATIENCE_S):
        while not (found := await look()):
            await CLOCK.sleep_s(0.1)
    assert found, what
    return found


@pytest.mark.slow
async def test_a_press_is_an_alarm_at_the_center_and_an_order_sounds_the_siren(tmp_path):
    mosquitto = Mosquitto(tmp_path / "broker", [ADDRESS])
    await mosquitto.start()
    settings = {
        "site": SITE,
        "box": BOX,
        "broker": {
            "urls": [f"mqtt://{HOST}:{mosquitto.port}"],
            "username": BOX,
            "password": f"secret-{BOX}",
        },
        "center": {"keys_file": str(public_keys_file(tmp_path / "center"))},
        "pole": {
            "inputs": [
                {"input_id": "bell", "meaning": "bell", "line": "bell", "active_low": False},
                {"input_id": "door", "meaning": "door", "line": "door", "active_low": False},
            ],
            "outputs": [{"output_id": "siren", "purpose": "siren", "line": "siren", "max_on_s": 5}],
        },
    }
    center = make_center(tmp_path / "center", mosquitto.settings("center"))
    async with running(center):
        box = BoxProcess(tmp_path, settings)
        lines = box.data_dir / "run" / "lines"
        with box:
            await eventually(lambda: _all(lines, "bell", "door", "siren"), "no lines")

            (lines / "door").write_text("1")
            await eventually(lambda: _told(center, EventKind.CABINET, Phase.NEW), "no door")
            (lines / "bell").write_text("1")
            alarm = await eventually(
                lambda: _told(center, EventKind.EMERGENCY_BELL, Phase.NEW), "no alarm"
            )
            assert alarm.data.code == "bell.pressed"
            assert alarm.data.asks == (Asked.TALK,)  # no camera is named for this bell
            (lines / "bell").write_text("0")
            end = await eventually(
                lambda: _told(center, EventKind.EMERGENCY_BELL, Phase.END), "no end"
            )
            assert end.id == alarm.id

            reply = await _order(center, Output(output_id="siren", on=True, for_s=1.0))
            assert reply.state is ReplyState.DONE, reply
            assert (lines / "siren").read_text() == "1"
            await eventually(lambda: _reads(lines / "siren", "0"), "the siren did not end")
            refused = await _order(center, Output(output_id="siren", on=True, for_s=600))
            assert refused.code == "output.too_long"

            (lines / "bell").unlink()
            (lines / "bell").mkdir()  # what stands there now is no line
            state = await asyncio.to_thread(
                box.until, lambda s: ("pole.bell_lost", None) in faults_in(s), PATIENCE_S
            )
            assert state["light"] == "red"
            fault = await eventually(
                lambda: _told(center, EventKind.BOX_FAULT, Phase.NEW), "no word of the lost bell"
            )
            assert fault.data.code == "pole.bell_lost"
    await mosquitto.stop()


async def _all(folder: Path, *names: str) -> bool:
    return all((folder / name).exists() for name in names)


async def _reads(file: Path, level: str) -> bool:
    return await asyncio.to_thread(file.read_text) == level


async def _told(center, kind, phase):
    for event in await center.events():
        if event.event.data.kind is kind and event.event.phase is phase:
            return event.event
    return None


async def _order(center, args):
    async with asyncio.timeout(PATIENCE_S):
        async for reply in center.command(ADDRESS, args, BY):
            if reply.state.is_final:
                return reply
    return None
