"""The pole of a whole box: a press is an alarm at the center, the cabinet tells, orders switch."""

import asyncio
from pathlib import Path

import pytest

from agent.contract.commands import Actor, Output, ReplyState
from agent.contract.events import Asked, EventKind, Phase
from agent.contract.topics import BoxAddress
from agent.core.clock import SystemClock
from agent.settings.pole import Meaning
from agent.simulators.center.commander import public_keys_file
from tests.box_process import HOST, BoxProcess, faults_in
from tests.brokers import Mosquitto
from tests.spine import make_center, running

SITE, BOX = "site-1", "box-1"
ADDRESS = BoxAddress(SITE, BOX)
BY = Actor(user="watcher", agency="city", case="case-1")
PATIENCE_S = 60.0
CABINET = [meaning.value for meaning in Meaning if meaning not in {Meaning.BELL, Meaning.CLAIM}]
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
                {"input_id": name, "meaning": name, "line": name, "active_low": False}
                for name in ("bell", *CABINET)
            ],
            "outputs": [
                {"output_id": "siren", "purpose": "siren", "line": "siren", "max_on_s": 120}
            ],
        },
    }
    center = make_center(tmp_path / "center", mosquitto.settings("center"))
    async with running(center):
        box = BoxProcess(tmp_path, settings)
        lines = box.data_dir / "run" / "lines"
        with box:
            await eventually(lambda: _all(lines, "bell", *CABINET, "siren"), "no lines")

            for name in CABINET:
                (lines / name).write_text("1")
            told = {f"cabinet.{name}" for name in CABINET}
            await eventually(lambda: _cabinet(center, Phase.NEW, told), "not all of the cabinet")
            for name in CABINET:
                (lines / name).write_text("0")
            await eventually(lambda: _cabinet(center, Phase.END, told), "not all of it ended")
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
            unlisted = await _order(center, Output(output_id="barrier", on=True, for_s=1.0))
            assert unlisted.code == "output.unknown"

            await _order(center, Output(output_id="siren", on=True, for_s=120))
            (core,) = [p for p in box.children() if "core_process" in " ".join(p.cmdline())]
            core.kill()  # nobody is left to end it in time
            await eventually(lambda: _reads(lines / "siren", "0"), "left on by a core that died")
            await asyncio.to_thread(box.until, _is_connected, PATIENCE_S)

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
            await _order(center, Output(output_id="siren", on=True, for_s=120))
            with (lines / "siren").open() as siren:  # its folder goes with the box
                assert siren.read() == "1"
                await asyncio.to_thread(box.stop)
                siren.seek(0)
                assert siren.read() == "0"
    await mosquitto.stop()


async def _all(folder: Path, *names: str) -> bool:
    return all((folder / name).exists() for name in names)


async def _reads(file: Path, level: str) -> bool:
    return await asyncio.to_thread(file.read_text) == level


def _is_connected(state: dict) -> bool:
    return state["link"]["is_connected"]


async def _cabinet(center, phase, codes):
    """Say whether each of these happenings of the cabinet was told once."""
    told = [
        one.event.data.code
        for one in await center.events()
        if one.event.data.kind is EventKind.CABINET and one.event.phase is phase
    ]
    return sorted(told) == sorted(codes)


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
