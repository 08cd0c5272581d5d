"""The gate: newest move wins, Stop gets through, every move ends, a dead camera stays alone."""

import asyncio
from dataclasses import replace

import pytest

from agent.cameras.gate import CameraGate, MoveResult, StopResult
from agent.cameras.port import CameraUnreachable, CameraWrongPassword, Login
from agent.cameras.zeep_backend import ZeepCamera
from agent.core.clock import SystemClock
from agent.core.errors import CommandError
from tests.simulated_onvif import LOGIN, USERNAME, black_hole, control_of, running_camera


@pytest.fixture
async def camera():
    async with running_camera() as device:
        yield device


@pytest.fixture
async def gate(camera):
    gate = CameraGate(lambda: control_of(camera, call_s=60.0), SystemClock())
    yield gate
    await gate.close()


async def _until(condition, seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - it changes in another thread
            await asyncio.sleep(0.01)


async def test_a_camera_clock_is_measured_without_changing_it(gate, camera):
    camera.faults.clock_offset_s = 47.0
    await gate.facts()
    assert await gate.clock_ahead_s() == pytest.approx(47.0, abs=3.0)


async def test_streams_are_chosen_by_size_and_carry_no_login(gate, camera):
    streams = await gate.streams()

    assert (streams.main_url, streams.sub_url) == (
        camera.config.rtsp_main_url,
        camera.config.rtsp_sub_url,
    )
    assert (await gate.facts()).serial == "SIM-0001"


async def test_a_stop_is_seen_to_have_stopped(gate, camera):
    assert await gate.move(0.5, 0.0, 0.0, 30.0) is MoveResult.SENT
    assert camera.motor.is_moving
    assert await gate.stop() is StopResult.VERIFIED
    assert not camera.motor.is_moving


async def test_the_newest_move_replaces_one_that_still_waits(gate, camera):
    await gate.facts()
    camera.faults.slow_s = {"GetDeviceInformation": 0.5}

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(gate.facts())
        await _until(lambda: camera.calls.count("GetDeviceInformation") == 2)
        older = tasks.create_task(gate.move(-1.0, 0.0, 0.0, 20.0))
        await asyncio.sleep(0)
        newer = tasks.create_task(gate.move(1.0, 0.0, 0.0, 20.0))

    assert (older.result(), newer.result()) == (MoveResult.REPLACED, MoveResult.SENT)
    assert camera.motor.moves_total == 1
    assert camera.motor.position().pan > 0


async def test_stop_gets_through_while_a_slow_question_is_pending(gate, camera):
    camera.faults.ignores_move_timeout = True
    await gate.move(1.0, 0.0, 0.0, 60.0)
    camera.faults.slow_s = {"GetDeviceInformation": 3600.0}

    slow = asyncio.create_task(gate.facts())
    await _until(lambda: camera.calls[-1] == "GetDeviceInformation")
    stopping = asyncio.create_task(gate.stop())
    await _until(lambda: not camera.motor.is_moving)
    assert not slow.done()
    assert await stopping is StopResult.UNVERIFIED
    assert not slow.done()
    camera.faults.slow_s = {}
    for connection in tuple(camera._http._connections):
        connection.cancel()
    await asyncio.gather(slow, return_exceptions=True)


async def test_a_stop_that_overtakes_a_move_on_the_wire_is_sent_again_after_it(gate, camera):
    await gate.facts()
    camera.faults.slow_s = {"ContinuousMove": 0.5}
    camera.faults.ignores_move_timeout = True

    async with asyncio.TaskGroup() as tasks:
        moving = tasks.create_task(gate.move(1.0, 0.0, 0.0, 60.0))
        await _until(lambda: camera.calls[-1] == "ContinuousMove")
        tasks.create_task(gate.stop())

    assert moving.result() is MoveResult.STOPPED
    await _until(lambda: camera.motor.moves_total == 1 and not camera.motor.is_moving)


async def test_we_stop_a_camera_that_ignores_the_timeout(gate, camera):
    camera.faults.ignores_move_timeout = True
    await gate.move(0.5, 0.0, 0.0, 0.3)
    await _until(lambda: camera.motor.stops_total == 1)
    assert not camera.motor.is_moving


async def test_a_newer_move_puts_the_end_of_moving_off(gate, camera):
    camera.faults.ignores_move_timeout = True
    await gate.move(0.1, 0.0, 0.0, 0.4)
    await gate.move(0.1, 0.0, 0.0, 30.0)
    await asyncio.sleep(0.7)
    assert camera.motor.is_moving


async def test_a_move_whose_answer_is_lost_is_stopped(camera):
    gate = CameraGate(lambda: control_of(camera), SystemClock())
    await gate.facts()
    camera.faults.ignores_move_timeout = True
    camera.faults.spoils = {"ContinuousMove": lambda good: replace(good, said_bytes=100_000)}
    with pytest.raises(CameraUnreachable):
        await gate.move(0.5, 0.0, 0.0, 60.0)
    await _until(lambda: camera.motor.stops_total >= 1)
    await gate.close()


async def test_a_stop_that_got_no_answer_is_sent_again(camera):
    gate = CameraGate(lambda: control_of(camera, call_s=4.0), SystemClock())
    camera.faults.ignores_move_timeout = True
    await gate.move(0.5, 0.0, 0.0, 60.0)
    camera.faults.silent = True
    with pytest.raises(CameraUnreachable):
        await gate.stop()
    assert camera.motor.is_moving
    camera.faults.silent = False
    await _until(lambda: not camera.motor.is_moving)
    await gate.close()


async def test_closing_stops_a_moving_camera(camera):
    gate = CameraGate(lambda: control_of(camera), SystemClock())
    camera.faults.ignores_move_timeout = True
    await gate.move(0.5, 0.0, 0.0, 60.0)
    await gate.close()
    assert not camera.motor.is_moving


async def test_a_camera_that_does_not_tell_is_stopped_unverified(gate, camera):
    camera.faults.tells_no_position = True
    await gate.move(0.5, 0.0, 0.0, 30.0)
    assert await gate.stop() is StopResult.UNVERIFIED
    assert not camera.motor.is_moving


async def test_a_changed_login_is_used_at_once(camera):
    gate = CameraGate(lambda: control_of(camera, Login(USERNAME, "wrong")), SystemClock())
    with pytest.raises(CameraWrongPassword):
        await gate.facts()
    await gate.change_login(LOGIN)
    assert (await gate.facts()).serial
    await gate.close()


@pytest.mark.parametrize(
    ("move", "code"),
    [
        ((1.5, 0.0, 0.0, 1.0), "command.bad_value"),
        ((float("nan"), 0.0, 0.0, 1.0), "command.bad_value"),
        ((1.0, 0.0, 0.0, 61.0), "command.bad_value"),
        ((1.0, 0.0, 0.0, 0.0), "command.bad_value"),
    ],
)
async def test_a_senseless_move_never_reaches_the_camera(gate, camera, move, code):
    with pytest.raises(CommandError) as caught:
        await gate.move(*move)
    assert caught.value.code == code
    assert not camera.calls


async def test_a_dead_camera_does_not_slow_another(gate):
    with black_hole() as url:
        dead = CameraGate(lambda: ZeepCamera(url, LOGIN, SystemClock(), call_s=20.0), SystemClock())
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(_unreachable(dead))
            await asyncio.sleep(0.05)
            for _ in range(10):
                await gate.move(0.1, 0.0, 0.0, 5.0)
            await gate.stop()
            assert not waiting.done()
            waiting.cancel()
        await dead.close()


async def _unreachable(gate: CameraGate) -> None:
    with pytest.raises(CameraUnreachable):
        await gate.facts()
