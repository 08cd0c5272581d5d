"""A camera that refuses a login which it took before: asked again soon, and stopped whatever it is.

Many refuse everybody while they start up. That is no wrong password, and no reason not to stop.
"""

import asyncio
from contextlib import asynccontextmanager

import pytest

from agent.cameras.door import Door
from agent.cameras.gate import CameraGate
from agent.cameras.port import CameraUnsettled, CameraWrongPassword, Login
from agent.cameras.zeep_backend import ZeepCamera
from agent.core.clock import SystemClock
from agent.core.login_tries import GOOD_LOGIN_RETRY_S, SETTLED_S, STOP_RETRY_S, tries_of
from tests.plain_backend import PlainCamera
from tests.simulated_onvif import LOGIN, PASSWORD, eventually, running_camera

MANY = 1000


class Clock(SystemClock):
    """Of the back-offs: it goes on only as the test says, however busy the machine is."""

    now_s = 1000.0

    def monotonic_s(self):
        return self.now_s


class Agent:
    """What a core makes of one camera; a second one is what starts after the first was killed."""

    def __init__(self, folder, camera, clock, login=LOGIN, backend=ZeepCamera):
        self.door = Door(login, clock, host="127.0.0.1", tries=tries_of(folder, "gate", clock))
        self.door.way = "digest"  # as it is remembered of it
        self.control = backend(camera.url, self.door, SystemClock(), call_s=20.0)

    async def ask(self):
        return await asyncio.to_thread(self.control.position)

    async def stop(self):
        await asyncio.to_thread(self.control.stop)

    async def is_refused(self):
        """Ask; return what the refusal is called."""
        with pytest.raises(CameraWrongPassword) as refused:
            await self.ask()
        return type(refused.value)


@asynccontextmanager
async def refusing(folder, backend=ZeepCamera):
    """Give a camera that took a login and refuses it for good, and the agent that learned so."""
    clock = Clock()
    async with running_camera(ptz=True) as camera:
        agent = Agent(folder, camera, clock, backend=backend)
        await agent.ask()
        camera.login.password = "another"
        for delay_s in (GOOD_LOGIN_RETRY_S, SETTLED_S, 0.0):
            told = await agent.is_refused()
            clock.now_s += delay_s
            if told is CameraWrongPassword:
                break
        assert await agent.is_refused() is CameraWrongPassword
        yield camera, agent, clock
        agent.control.close()


async def test_a_right_camera_that_refuses_once_is_asked_again_and_not_called_wrong(tmp_path):
    clock = Clock()
    async with running_camera(ptz=True) as camera:
        for _ in range(2):  # the second core begins while the camera starts
            agent = Agent(tmp_path, camera, clock)
            await agent.ask()
            camera.login.refuses_next = 1
            camera.login._nonces.clear()
            agent.control.close()
            agent = Agent(tmp_path, camera, clock)
            assert await agent.is_refused() is CameraUnsettled
            assert await agent.is_refused() is CameraUnsettled  # without a word to the camera
            clock.now_s += GOOD_LOGIN_RETRY_S
            await agent.ask()
            agent.control.close()
        assert camera.login.refused_total == 2


async def test_a_password_that_was_changed_at_the_camera_costs_three_messages(tmp_path):
    async with refusing(tmp_path) as (camera, _, _):
        assert camera.login.refused_total == 3


@pytest.mark.parametrize("backend", [ZeepCamera, PlainCamera])
async def test_a_stop_is_on_the_wire_while_everything_else_is_held(tmp_path, backend):
    async with refusing(tmp_path, backend) as (camera, agent, _):
        camera.login.password = PASSWORD
        assert await agent.is_refused() is CameraWrongPassword
        await agent.stop()
        assert camera.calls[-1] == "Stop"
        await agent.ask()  # it was taken: nothing is held any more


async def test_a_core_that_starts_stops_a_camera_that_refused_the_one_before(tmp_path):
    async with refusing(tmp_path) as (camera, _, clock):
        camera.login.password = PASSWORD
        after_a_crash = Agent(tmp_path, camera, clock)
        assert await after_a_crash.is_refused() is CameraWrongPassword
        await after_a_crash.stop()
        assert camera.calls[-1] == "Stop"
        await after_a_crash.ask()
        after_a_crash.control.close()


async def test_a_stop_by_zero_velocity_is_not_held_either(tmp_path):
    async with refusing(tmp_path) as (camera, agent, _):
        camera.faults.knows_no_stop = True
        camera.login.password = PASSWORD
        await agent.stop()
        assert camera.calls[-1] == "ContinuousMove"


async def test_stops_of_a_refused_login_are_bounded(tmp_path):
    async with refusing(tmp_path) as (camera, agent, clock):
        before = camera.login.refused_total
        for _ in range(3):
            for one in (agent, Agent(tmp_path, camera, clock)):  # each core that starts stops it
                for _ in range(2):
                    with pytest.raises(CameraWrongPassword):
                        await one.stop()
            clock.now_s += STOP_RETRY_S / 2
        assert camera.login.refused_total == before + 2


async def test_a_login_that_was_never_good_is_not_told_again_for_a_stop(tmp_path):
    async with running_camera(ptz=True) as camera:
        agent = Agent(tmp_path, camera, SystemClock(), Login("admin", "wrong"))
        assert await agent.is_refused() is CameraWrongPassword
        before = camera.login.refused_total
        with pytest.raises(CameraWrongPassword):
            await agent.stop()
        assert camera.login.refused_total == before
        agent.control.close()


async def test_a_camera_that_still_moves_is_stopped_by_itself_once_it_takes_the_login(tmp_path):
    async with running_camera(ptz=True) as camera:
        agent = Agent(tmp_path, camera, SystemClock())
        gate = CameraGate(lambda: agent.control, SystemClock())
        camera.faults.ignores_move_timeout = True
        await gate.move(0.1, 0.0, 0.0, 0.5)
        camera.login.refuses_next = MANY
        await eventually(lambda: camera.login.refused_total)
        camera.login.refuses_next = 0
        await eventually(lambda: not camera.motor.is_moving)
        await gate.close()


async def test_a_move_that_was_refused_moved_nothing_and_asks_for_no_stop(tmp_path):
    """A Stop would be one more try of the login, and go on until one is taken."""
    async with running_camera(ptz=True) as camera:
        agent = Agent(tmp_path, camera, Clock())
        gate = CameraGate(lambda: agent.control, SystemClock())
        await gate.position()
        camera.login.refuses_next = MANY
        for _ in range(3):
            with pytest.raises(CameraUnsettled):
                await gate.move(0.1, 0.0, 0.0, 30.0)
        assert camera.login.refused_total == 2  # by the nonce in use, and by a fresh one
        assert not gate._stopper.requested_total
        assert not camera.motor.moves_total
        await gate.close()
