"""A press calls the bell's camera up: its picture in the alarm, turned to the caller, kept.

A whole box with one camera; its bell is a line of the board, then the camera's own digital input.
"""

import asyncio
import inspect
import sqlite3
from contextlib import asynccontextmanager, closing
from types import SimpleNamespace

from agent.buffer.reading import camera_folder
from agent.contract.events import Asked, EventKind, Phase
from agent.contract.topics import BoxAddress
from agent.core.clock import SystemClock
from agent.simulators.camera.onvif_events import DIGITAL_INPUT
from agent.simulators.camera.ptz_motor import MotorPosition
from tests.box_process import HOST, BoxProcess, CameraProcess, camera_in
from tests.brokers import Mosquitto
from tests.simulated_onvif import running_camera
from tests.spine import make_center, running

PATIENCE_S = 60.0
CLOCK = SystemClock()
CALLER = "2"  # the preset that shows who presses, which the simulated head has straight ahead
CALLER_STANDS, AWAY = MotorPosition(), MotorPosition(pan=0.5)


async def eventually(look, what):
    async with asyncio.timeout(PATIENCE_S):
        while not (found := await seen if inspect.isawaitable(seen := look()) else seen):
            await CLOCK.sleep_s(0.1)
    assert found, what
    return found


@asynccontextmanager
async def called(tmp_path, loops):
    """A center, a box, and a camera with PTZ head whose input `1` is a bell."""
    broker = Mosquitto(tmp_path / "broker", [BoxAddress("site-1", "box-1")])
    await broker.start()
    camera = CameraProcess(tmp_path, "gate", *loops)
    login = {"username": camera.username, "password": camera.password}
    center = make_center(tmp_path / "center", broker.settings("center"))
    async with running_camera(**login) as device, running(center):
        gate = camera.settings(
            "gate",
            onvif_url=device.url,
            detect=False,
            bell_inputs=["1"],
            ptz={"bell_preset": CALLER, "home": ""},
        )
        bell = {"input_id": "bell", "meaning": "bell", "line": "bell", "active_low": False}
        told = {
            "broker": {
                "urls": [f"mqtt://{HOST}:{broker.port}"],
                "username": "box-1",
                "password": "secret-box-1",
            },
            "cameras": [gate],
            "buffer": {"segment_s": 2.0, "min_free_bytes": 0},
            "pole": {"inputs": [{**bell, "camera_id": "gate"}]},
        }
        box = BoxProcess(tmp_path, told)
        with camera, box:
            lines = box.data_dir / "run" / "lines"
            try:
                yield SimpleNamespace(box=box, device=device, center=center, lines=lines)
            finally:
                await asyncio.to_thread(box.stop)  # while the camera answers
    await broker.stop()


async def calls(center, phase=Phase.NEW):
    return [
        stored.event
        for stored in await center.events()
        if stored.event.data.kind is EventKind.EMERGENCY_BELL and stored.event.phase is phase
    ]


def locks(box):
    folder = camera_folder(box.data_dir, "gate")
    with closing(sqlite3.connect(f"file:{folder}/index.db?mode=ro", uri=True)) as db:
        return db.execute(
            "SELECT approver, kind, to_utc_us - from_utc_us FROM locks ORDER BY made_utc_us"
        ).fetchall()


def is_looked_at(state):
    gate = camera_in(state, "gate")
    return gate["is_recording"] and gate["has_ptz"] and gate["sub_fps"]


async def test_a_press_shows_turns_and_keeps_whichever_way_it_comes(tmp_path, drawn_loops):
    async with called(tmp_path, drawn_loops) as rig:
        box, device, center = rig.box, rig.device, rig.center
        await asyncio.to_thread(box.until, is_looked_at, PATIENCE_S)
        await eventually(lambda: device.events.live(device.now()), "no subscription")
        device.motor.goto(AWAY)
        await eventually(lambda: device.motor.position() == AWAY, "not turned away")

        (rig.lines / "bell").write_text("1")
        (call,) = await eventually(lambda: calls(center), "no call")
        assert call.data.asks == (Asked.LIVE, Asked.TALK)
        assert call.data.picture.jpeg
        await eventually(lambda: device.motor.position() == CALLER_STANDS, "not turned")
        await eventually(lambda: locks(box), "nothing kept")
        (rig.lines / "bell").write_text("0")
        await eventually(lambda: calls(center, Phase.END), "no end")

        for level in ("true", "false", "true"):  # its contact bounces
            device.fire(DIGITAL_INPUT, {"InputToken": "1"}, {"LogicalState": level})
        await eventually(lambda: len(locks(box)) == 2, "nothing kept of the camera's own bell")
        _, second = await eventually(lambda: two_calls(center), "not called")
        assert second.data.picture.jpeg
        device.fire(DIGITAL_INPUT, {"InputToken": "1"}, {"LogicalState": "false"})
        await eventually(lambda: ended(center, 2), "no end")
        assert len(await calls(center)) == 2
        assert locks(box) == [("bell", "event", 180_000_000)] * 2  # a minute before, two after


async def two_calls(center):
    return found if len(found := await calls(center)) == 2 else None


async def ended(center, times):
    return len(await calls(center, Phase.END)) == times
