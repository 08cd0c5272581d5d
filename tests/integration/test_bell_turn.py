"""A camera turns to who pressed the bell, also when it would not do so at once."""

import asyncio

from agent.app.bell_call import BellCall
from agent.app.worker_hub import WorkerHub
from agent.cameras.door import Door
from agent.cameras.gate import CameraGate
from agent.cameras.zeep_backend import ZeepCamera
from agent.commands.ptz_lease import Leases
from agent.contract.events import TimeQuality
from agent.core.clock import SystemClock
from agent.messages.pole import ContactState, PoleSignal
from agent.simulators.camera.ptz_motor import MotorPosition
from tests.simulated_onvif import LOGIN, eventually, running_camera

CLOCK = SystemClock()
CALLER = "2"  # the preset that the simulated head has straight ahead
AWAY = MotorPosition(pan=0.5)


def press():
    return PoleSignal(
        input_id="bell",
        meaning="bell",
        state=ContactState.ACTIVE,
        was=ContactState.IDLE,
        press_id="press-1",
        at=CLOCK.utc_now(),
        mono_s=CLOCK.monotonic_s(),
        tq=TimeQuality.NTP,
        camera_id="gate",
    )


async def test_a_camera_that_starts_and_knows_nobody_yet_turns_a_little_later(tmp_path):
    audited = []

    async def note(*entry):
        audited.append(entry)

    async def nothing(_):
        return None

    async with running_camera(ptz=True) as camera:
        door = Door(LOGIN, CLOCK)
        before = ZeepCamera(camera.url, door, CLOCK)
        await asyncio.to_thread(before.position)  # the login is a good one
        before.close()
        gate = CameraGate(lambda: ZeepCamera(camera.url, door, CLOCK), CLOCK)
        camera.motor.goto(AWAY)
        await eventually(lambda: camera.motor.position() == AWAY)
        leases = Leases(CLOCK, lambda _: gate, lambda: True)
        hub = WorkerHub(tmp_path / "core.sock", CLOCK, nothing, lambda _: None)
        bell = BellCall(hub, leases, lambda _: gate, lambda _: CALLER, note, CLOCK)
        camera.login.refuses_next = 1
        turning = asyncio.create_task(bell._turn(press()))
        await eventually(lambda: not camera.login.refuses_next)
        await eventually(lambda: camera.motor.position() == MotorPosition())
        await eventually(lambda: audited)
        assert audited[0][:2] == ("ptz.goto", "done")
        turning.cancel()
        await asyncio.gather(turning, return_exceptions=True)
        await gate.close()
