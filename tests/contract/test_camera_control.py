"""What every backend of the camera port promises, against the simulated camera."""

import asyncio
from collections.abc import Callable

import pytest

from agent.cameras.port import (
    CameraControl,
    CameraNotOnvif,
    CameraNotSupported,
    CameraUnreachable,
    CameraWrongPassword,
    Login,
)
from agent.cameras.zeep_backend import ZeepCamera
from agent.core.clock import SystemClock
from tests.simulated_onvif import LOGIN, USERNAME, ShiftedClock, black_hole, running_camera

Backend = Callable[..., CameraControl]


@pytest.fixture(params=[pytest.param(ZeepCamera, id="zeep")])
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

        assert device.motor.is_moving
        await asyncio.sleep(1.1)
        assert not device.motor.is_moving
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
    await is_refused()
    assert camera.login.refused_total == 1
    clock.shift_s += 301
    await is_refused()
    assert camera.login.refused_total == 2

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
        async with asyncio.timeout(10):
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
