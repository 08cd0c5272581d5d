"""What every backend of the camera port promises, against the simulated camera: each keeps it."""

import asyncio
from collections.abc import Callable

import pytest

from agent.cameras import care
from agent.cameras.port import (
    CameraBadResponse,
    CameraControl,
    CameraFailure,
    CameraNotOnvif,
    CameraNotSupported,
    CameraUnreachable,
    CameraWrongPassword,
    Login,
)
from agent.core.clock import SystemClock
from tests.hostile_answers import NO_ANSWER, PART_OF_AN_ANSWER
from tests.plain_backend import BACKENDS
from tests.simulated_onvif import (
    LOGIN,
    USERNAME,
    ShiftedClock,
    black_hole,
    eventually,
    running_camera,
)

Backend = Callable[..., CameraControl]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.param


@pytest.fixture(params=[("digest", "token"), ("digest",), ("token",)], ids="+".join)
async def camera(request: pytest.FixtureRequest):
    async with running_camera(name='Kåmera <1> & "co"') as device:
        device.login.takes = request.param
        yield device


async def test_facts_are_what_the_camera_says(camera, backend):
    control = backend(camera.url, LOGIN, SystemClock())

    facts = await asyncio.to_thread(control.facts)

    assert (facts.model, facts.serial, facts.has_ptz) == ('Kåmera <1> & "co"', "SIM-0001", True)
    control.close()


async def test_profiles_carry_size_encoding_rate_and_gop(camera, backend):
    control = backend(camera.url, LOGIN, SystemClock())

    by_token = {p.token: p for p in await asyncio.to_thread(control.profiles)}

    main = by_token["main"]
    assert (main.encoding, main.width_px, main.height_px) == ("H264", 1920, 1080)
    assert (main.fps, main.gop) == (15.0, 30)
    control.close()


async def test_a_stream_url_has_no_login_in_it(backend):
    async with running_camera(rtsp_main_url="rtsp://u:p@10.0.0.9:8554/main?x=1") as device:
        control = backend(device.url, LOGIN, SystemClock())

        url = await asyncio.to_thread(control.stream_url, "main")

        assert url == "rtsp://127.0.0.1:8554/main?x=1"
        control.close()


async def test_a_move_moves_and_a_stop_stops(camera, backend):
    control = backend(camera.url, LOGIN, SystemClock())

    await asyncio.to_thread(control.move, 1.0, -1.0, 0.5, 20.0)
    moving = await asyncio.to_thread(control.position)
    await asyncio.to_thread(control.stop)
    standing = await asyncio.to_thread(control.position)

    assert moving.is_moving
    assert standing.is_moving is False
    assert standing.pan is not None
    assert standing.pan > 0 > standing.tilt
    control.close()


async def test_a_move_ends_by_its_own_timeout(backend):
    async with running_camera() as device:
        control = backend(device.url, LOGIN, SystemClock())

        await asyncio.to_thread(control.move, 0.2, 0.0, 0.0, 1.0)

        assert device.motor.moves_total == 1
        await eventually(lambda: not device.motor.is_moving)
        assert device.motor.stops_total == 0
        control.close()


async def test_a_camera_without_ptz_says_so(backend):
    async with running_camera(ptz=False) as device:
        control = backend(device.url, LOGIN, SystemClock())

        assert not (await asyncio.to_thread(control.facts)).has_ptz
        with pytest.raises(CameraNotSupported):
            await asyncio.to_thread(control.move, 1.0, 0.0, 0.0, 1.0)
        control.close()


async def test_a_wrong_password_is_tried_once_until_it_changes_or_five_minutes_pass(
    camera, backend
):
    clock = ShiftedClock()
    control = backend(camera.url, Login(USERNAME, "wrong"), clock)

    async def is_refused() -> None:
        with pytest.raises(CameraWrongPassword):
            await asyncio.to_thread(control.facts)

    await is_refused()
    first = camera.login.refused_total
    assert first <= len(camera.login.takes)  # a digest, and then once a token
    await is_refused()
    assert camera.login.refused_total == first
    clock.shift_s += 301
    await is_refused()
    assert camera.login.refused_total == first + 1

    control.change_login(LOGIN)
    assert (await asyncio.to_thread(control.facts)).serial
    control.close()


async def test_a_camera_that_wants_no_login_gets_none(backend):
    async with running_camera(username="") as device:
        control = backend(device.url, Login(), SystemClock())
        assert (await asyncio.to_thread(control.facts)).serial
        control.close()


async def test_nothing_listening_is_unreachable(backend, unused_tcp_port):
    control = backend(f"http://127.0.0.1:{unused_tcp_port}/", LOGIN, SystemClock())
    with pytest.raises(CameraUnreachable) as caught:
        await asyncio.to_thread(control.facts)
    assert caught.value.hint


async def test_a_silent_camera_is_unreachable(backend):
    with black_hole() as url:
        control = backend(url, LOGIN, SystemClock(), call_s=0.3)
        async with asyncio.timeout(60):
            with pytest.raises(CameraUnreachable):
                await asyncio.to_thread(control.facts)
        control.close()


async def test_a_web_server_is_not_onvif(backend):
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>"
        )
        writer.close()

    async with await asyncio.start_server(page, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        control = backend(f"http://127.0.0.1:{port}/", LOGIN, SystemClock())
        with pytest.raises(CameraNotOnvif):
            await asyncio.to_thread(control.facts)
        control.close()


async def test_a_camera_without_stop_is_stopped_by_zero_velocity(backend):
    async with running_camera() as device:
        device.faults.knows_no_stop = device.faults.ignores_move_timeout = True
        control = backend(device.url, LOGIN, SystemClock())
        await asyncio.to_thread(control.move, 0.5, 0.0, 0.0, 5.0)
        await asyncio.to_thread(control.stop)
        assert not device.motor.is_moving
        control.close()


async def test_a_stop_does_not_wait_for_a_call_that_hangs(camera, backend):
    control = backend(camera.url, LOGIN, SystemClock(), call_s=30.0)
    camera.faults.ignores_move_timeout = True
    await asyncio.to_thread(control.move, 0.1, 0.0, 0.0, 60.0)
    camera.faults.slow_s = {"GetStatus": 3600.0}
    hanging = asyncio.create_task(asyncio.to_thread(control.position))
    await eventually(lambda: camera.calls[-1] == "GetStatus")

    await asyncio.to_thread(control.stop)

    assert not camera.motor.is_moving
    assert not hanging.done()
    for connection in tuple(camera._http._connections):
        connection.cancel()
    camera.faults.slow_s = {}
    await asyncio.gather(hanging, return_exceptions=True)
    control.close()


async def test_what_the_head_does_not_tell_is_none(backend):
    async with running_camera() as device:
        device.faults.tells_no_position = True
        control = backend(device.url, LOGIN, SystemClock())
        at = await asyncio.to_thread(control.position)
        assert (at.pan, at.tilt, at.zoom, at.is_moving) == (None, None, None, None)
        control.close()


async def test_the_clock_is_measured_whatever_login_it_takes(camera, backend):
    camera.faults.clock_offset_s = 7200.0
    control = backend(camera.url, LOGIN, SystemClock())
    assert (await asyncio.to_thread(control.facts)).serial
    assert await asyncio.to_thread(control.clock_ahead_s) == pytest.approx(7200, abs=30)
    control.close()


async def test_addresses_from_behind_nat_are_repaired(backend):
    async with running_camera() as device:
        device.faults.foreign_xaddr = "http://10.255.255.1:81"
        control = backend(device.url, LOGIN, SystemClock())
        assert len(await asyncio.to_thread(control.profiles)) == 2
        control.close()


@pytest.mark.parametrize("fault", ["huge_body", "drips", "empty_200", "fault_status"])
async def test_a_sick_camera_is_a_failure_in_time_and_used_again_when_well(backend, fault):
    async with running_camera() as device:
        clock = ShiftedClock()
        control = backend(device.url, LOGIN, clock, call_s=20.0, operation_s=60.0)
        assert (await asyncio.to_thread(control.facts)).serial
        setattr(device.faults, fault, 500 if fault == "fault_status" else True)
        asking = asyncio.create_task(asyncio.to_thread(control.facts))
        while fault == "drips" and not asking.done():  # the time flies only then: it may be late
            clock.shift_s += 1.0
            await asyncio.sleep(0.05)
        async with asyncio.timeout(60):
            with pytest.raises(CameraUnreachable if fault == "drips" else CameraBadResponse):
                await asking
        setattr(device.faults, fault, 0)
        assert (await asyncio.to_thread(control.facts)).serial
        control.close()


async def test_after_closing_it_connects_anew(camera, backend):
    control = backend(camera.url, LOGIN, SystemClock())
    await asyncio.to_thread(control.facts)
    control.close()
    assert (await asyncio.to_thread(control.facts)).serial
    control.close()


async def test_its_line_goes_through_the_same_door(camera, backend):
    control = backend(camera.url, Login(USERNAME, "wrong"), SystemClock())
    for ask in (control.facts, lambda: care.prove(control.line)):
        with pytest.raises(CameraWrongPassword):
            await asyncio.to_thread(ask)
    assert camera.login.refused_total <= len(camera.login.takes)
    control.change_login(LOGIN)
    await asyncio.to_thread(care.prove, control.line)
    control.close()


@pytest.mark.parametrize("kind", sorted(NO_ANSWER | PART_OF_AN_ANSWER))
async def test_a_hostile_answer_is_a_failure_of_the_camera_or_an_answer(backend, kind):
    async with running_camera() as device:
        control = backend(device.url, LOGIN, SystemClock())
        device.faults.spoils = {"GetProfiles": (NO_ANSWER | PART_OF_AN_ANSWER)[kind]}
        try:
            await asyncio.to_thread(control.profiles)
        except CameraFailure:
            pass
        else:
            assert kind in PART_OF_AN_ANSWER
        control.close()
