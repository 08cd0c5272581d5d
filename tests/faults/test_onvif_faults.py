"""However a camera lies or hangs: a typed error in bounded time, and a move that ends."""

import asyncio
import contextlib
from dataclasses import replace

import pytest

from agent.cameras.port import (
    CameraBadResponse,
    CameraClockSkew,
    CameraFailure,
    CameraLockedOut,
    CameraUnreachable,
    CameraWrongPassword,
    Login,
)
from agent.cameras.zeep_backend import ZeepCamera
from agent.core.clock import SystemClock
from tests.simulated_onvif import LOGIN, USERNAME, control_of, running_camera

_GUARD_S = 30  # far beyond every deadline here: only a hang reaches it


async def _error_of(device, login: Login = LOGIN, *, call_s: float = 20.0) -> CameraFailure:
    control = control_of(device, login, call_s=call_s)
    try:
        async with asyncio.timeout(_GUARD_S):
            with pytest.raises(CameraFailure) as caught:
                await asyncio.to_thread(control.facts)
    finally:
        control.close()
    return caught.value


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ({"silent": True}, CameraUnreachable, "camera.unreachable"),
        ({"drips": True}, CameraUnreachable, "camera.unreachable"),
        ({"huge_body": True}, CameraBadResponse, "camera.bad_response"),
        ({"empty_200": True}, CameraBadResponse, "camera.bad_response"),
        ({"html_401": True}, CameraWrongPassword, "camera.wrong_password"),
        ({"slow_s": {"GetDeviceInformation": 60.0}}, CameraUnreachable, "camera.unreachable"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
async def test_every_fault_has_its_typed_error_and_an_advice(fault, error, code):
    async with running_camera() as device:
        for name, value in fault.items():
            setattr(device.faults, name, value)

        # Short only where no answer is to come: a busy machine answers late.
        caught = await _error_of(device, call_s=1.0 if error is CameraUnreachable else 20.0)

        assert type(caught) is error
        assert caught.code == code
        assert caught.hint


async def test_headers_that_drip_for_ever_end_at_the_deadline():
    client_gone = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX-Endless: ")
        with contextlib.suppress(OSError):
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()
        client_gone.set()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        control = ZeepCamera(f"http://127.0.0.1:{port}/", LOGIN, SystemClock(), call_s=1.0)
        async with asyncio.timeout(_GUARD_S):
            with pytest.raises(CameraUnreachable):
                await asyncio.to_thread(control.facts)
        control.close()
        await client_gone.wait()


@pytest.mark.parametrize("takes", [("token",), ("digest", "token")], ids="+".join)
async def test_a_camera_clock_two_hours_off_does_not_matter(takes):
    async with running_camera() as device:
        device.login.takes = takes
        device.faults.clock_offset_s = 7200.0
        control = control_of(device)
        assert (await asyncio.to_thread(control.facts)).serial
        control.close()


async def test_a_clock_that_jumps_while_connected_is_measured_again():
    async with running_camera() as device:
        device.login.takes = ("token",)
        control = control_of(device)
        await asyncio.to_thread(control.facts)
        device.faults.clock_offset_s = -86400.0
        assert (await asyncio.to_thread(control.facts)).serial
        control.close()


async def test_a_wrong_hidden_clock_is_called_clock_skew_not_wrong_password():
    async with running_camera() as device:
        device.login.takes = ("token",)
        device.faults.clock_offset_s = 7200.0
        device.faults.hides_clock = True
        assert isinstance(await _error_of(device), CameraClockSkew)


async def test_a_locked_account_is_not_called_a_wrong_password():
    async with running_camera() as device:
        device.faults.locks_after = 1
        device.login.refused_total = 1
        assert isinstance(await _error_of(device, Login(USERNAME, "wrong")), CameraLockedOut)


@pytest.mark.parametrize("status", [423, 429])
async def test_a_lock_that_is_told_to_everybody_gets_no_login_and_ends_at_once(status):
    async with running_camera() as device:
        device.faults.fault_status = status
        control = control_of(device)
        with pytest.raises(CameraLockedOut):
            await asyncio.to_thread(control.facts)
        assert not device.logins_seen
        device.faults.fault_status = 0
        assert (await asyncio.to_thread(control.facts)).serial
        device.faults.fault_status = status
        with pytest.raises(CameraLockedOut):  # by the digest in use
            await asyncio.to_thread(control.position)
        seen, device.faults.fault_status = device.logins_seen, 0
        with pytest.raises(CameraLockedOut):
            await asyncio.to_thread(control.position)
        assert device.logins_seen == seen
        await asyncio.to_thread(control.stop)
        control.close()


async def test_addresses_from_behind_nat_are_repaired():
    async with running_camera() as device:
        device.faults.foreign_xaddr = "http://10.255.255.1:81"
        control = control_of(device)
        assert len(await asyncio.to_thread(control.profiles)) == 2
        await asyncio.to_thread(control.move, 0.1, 0.0, 0.0, 5.0)
        await asyncio.to_thread(control.stop)
        assert not device.motor.is_moving
        control.close()


async def test_a_camera_without_stop_is_stopped_by_zero_velocity():
    async with running_camera() as device:
        device.faults.knows_no_stop = True
        device.faults.ignores_move_timeout = True
        control = control_of(device)
        await asyncio.to_thread(control.move, 0.5, 0.0, 0.0, 5.0)
        await asyncio.to_thread(control.stop)
        assert not device.motor.is_moving
        control.close()


async def test_an_undeclared_prefix_is_mended():
    async with running_camera() as device:
        device.faults.undeclared_prefix = True
        control = control_of(device)
        assert {p.width_px for p in await asyncio.to_thread(control.profiles)} == {640, 1920}
        assert (await asyncio.to_thread(control.position)).pan == 0.0
        control.close()


async def test_a_status_without_position_is_no_error():
    async with running_camera() as device:
        device.faults.tells_no_position = True
        control = control_of(device)
        position = await asyncio.to_thread(control.position)
        assert (position.pan, position.zoom, position.is_moving) == (None, None, None)
        control.close()


async def test_a_kept_connection_that_the_camera_dropped_is_no_error():
    async with running_camera() as device:
        control = control_of(device)
        await asyncio.to_thread(control.facts)
        for connection in tuple(device._http._connections):
            connection.cancel()
        assert (await asyncio.to_thread(control.facts)).serial
        control.close()


@pytest.mark.parametrize("takes", [("digest",), ("token",)], ids="+".join)
async def test_a_request_that_is_sent_again_after_a_cut_carries_a_login_of_its_own(takes):
    async with running_camera() as device:
        device.login.takes = takes
        control = control_of(device)
        await asyncio.to_thread(control.facts)
        unread = lambda good: replace(good, headers=(("X", "1"),) * 500)  # noqa: E731
        device.faults.spoils = {"GetStatus": unread}
        with pytest.raises(CameraUnreachable):
            await asyncio.to_thread(control.position)
        device.faults.spoils = {}
        assert (await asyncio.to_thread(control.position)).pan == 0.0
        assert device.calls.count("GetStatus") == 3
        assert device.login.refused_total == 0
        control.close()
