"""Killed at any step of changing a camera's password, the box still knows one that works."""

import asyncio
import random
import sys

import pytest
from msgspec import structs

from agent.app.streams import Streams
from agent.cameras import care
from agent.cameras.line import OnvifLine, Service
from agent.cameras.port import CameraFailure, CameraWrongPassword, Login
from agent.cameras.rotation import rotate, settle
from agent.core.clock import SystemClock
from agent.core.errors import SettingsError
from agent.settings.camera_secret import PasswordFile
from agent.settings.model import CameraSettings
from agent.simulators.camera.onvif_service import SoapRefusal
from tests.onvif_box import Deskwork, make_desk
from tests.simulated_onvif import PASSWORD, USERNAME, control_of, eventually, running_camera

_CLOCK = SystemClock()


def _settings(device, password=PASSWORD):
    return CameraSettings(
        camera_id="gate", onvif_url=device.url, username=USERNAME, password=password
    )


async def _rotating(device, folder, times=1):
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.rotating_box"),
        *(device.url, str(folder), USERNAME, PASSWORD, str(times)),
        stdout=asyncio.subprocess.PIPE,
    )


async def _works_again(device, folder) -> PasswordFile:
    """What the next process does with what it finds; return what it knows then."""
    kept = PasswordFile(folder, _settings(device))
    line = OnvifLine(device.url, Login(USERNAME, kept.password), _CLOCK)
    if kept.pending:
        await asyncio.to_thread(settle, line, kept)
    await asyncio.to_thread(care.prove, line)
    line.close()
    again = PasswordFile(folder, _settings(device))
    assert (again.password, again.pending) == (device.login.password, "")
    return again


@pytest.mark.parametrize(
    ("step", "nth", "is_taken"),
    [
        ("GetUsers", 1, False),  # the new one is on the disk, the camera knows nothing
        ("SetUser", 1, False),  # it was sent, not yet taken
        ("GetDeviceInformation", 1, True),  # it is taken, and not yet proven
    ],
)
async def test_killed_at_a_step_one_of_the_two_works(tmp_path, step, nth, is_taken):
    async with running_camera() as device:
        device.faults.slow_s = {step: 30.0}
        process = await _rotating(device, tmp_path)
        await eventually(lambda: device.calls.count(step) == nth)
        assert (device.login.password != PASSWORD) == is_taken
        process.kill()
        await process.communicate()
        device.faults.slow_s = {}
        kept = await _works_again(device, tmp_path)
        assert (kept.password != PASSWORD) == is_taken


async def test_killed_at_any_moment_one_known_password_works(tmp_path):
    dice = random.Random(7)
    async with running_camera() as device:
        for _ in range(4):
            process = await _rotating(device, tmp_path, times=1000)
            assert await process.stdout.readline() == b"rotated\n"
            await asyncio.sleep(dice.uniform(0.0, 0.25))
            process.kill()
            await process.communicate()
            await _works_again(device, tmp_path)


async def test_while_the_camera_is_away_both_are_kept_and_then_settled(tmp_path):
    async with running_camera() as device:
        kept = PasswordFile(tmp_path, _settings(device))
        line = OnvifLine(device.url, Login(USERNAME, PASSWORD), _CLOCK, call_s=2.0)
        await asyncio.to_thread(care.prove, line)
        device.faults.slow_s = {"SetUser": 3.0}
        changing = asyncio.create_task(asyncio.to_thread(rotate, line, kept, _CLOCK))
        await eventually(lambda: "SetUser" in device.calls)
        device.faults.silent = True
        with pytest.raises(CameraFailure):
            await changing
        assert kept.pending
        assert kept.password == PASSWORD
        device.faults.silent, device.faults.slow_s = False, {}
        line.close()
        await _works_again(device, tmp_path)


@pytest.mark.parametrize("takes", [("digest", "token"), ("token",)], ids=["digest", "token"])
async def test_with_the_answer_lost_the_proof_decides_and_stop_goes_out(tmp_path, takes):
    def lost(_):
        raise ConnectionResetError

    async with running_camera() as device:
        device.login.takes = takes
        kept = PasswordFile(tmp_path, _settings(device))
        control = control_of(device)
        await asyncio.to_thread(control.facts)
        device.faults.spoils = {"SetUser": lost}
        new = await asyncio.to_thread(rotate, control.line, kept, _CLOCK)
        assert (kept.password, kept.pending, device.login.password) == (new, "", new)
        await asyncio.to_thread(control.stop)
        assert device.calls[-1] == "Stop"
        control.close()


async def test_a_user_who_may_not_change_it_keeps_the_old_one_and_stop_goes_out(tmp_path):
    async with running_camera() as device:
        kept = PasswordFile(tmp_path, _settings(device))
        control = control_of(device)
        await asyncio.to_thread(control.facts)
        device._operations[(Service.DEVICE, "SetUser")] = _forbidden
        with pytest.raises(CameraFailure):
            await asyncio.to_thread(rotate, control.line, kept, _CLOCK)
        assert (kept.password, kept.pending, device.login.password) == (PASSWORD, "", PASSWORD)
        await asyncio.to_thread(control.stop)
        assert device.calls[-1] == "Stop"
        control.close()


async def test_on_a_disk_that_fails_meanwhile_the_one_in_use_is_never_doubted(tmp_path):
    secrets, away = tmp_path / "secrets", tmp_path / "away"

    def disk_fails(good):
        secrets.rename(away)
        secrets.touch()
        return good

    async with running_camera() as device:
        kept = PasswordFile(tmp_path, _settings(device))
        control = control_of(device)
        device.faults.spoils = {"SetUser": disk_fails}
        with pytest.raises(SettingsError):
            await asyncio.to_thread(rotate, control.line, kept, _CLOCK)
        refused = device.login.refused_total
        for _ in range(3):
            with pytest.raises(SettingsError):
                await asyncio.to_thread(settle, control.line, kept)
        await asyncio.to_thread(control.facts)
        secrets.unlink()
        away.rename(secrets)
        await asyncio.to_thread(settle, control.line, kept)
        assert (kept.password, kept.pending) == (device.login.password, "")
        assert device.login.refused_total == refused
        control.close()


async def test_a_disk_that_takes_nothing_keeps_no_camera_away(tmp_path, unused_tcp_port):
    async with running_camera() as device:
        settings = _settings(device)
        PasswordFile(tmp_path, settings).begin("never told")
        desk = make_desk(tmp_path, _CLOCK, unused_tcp_port, settings)
        (tmp_path / "secrets").rename(tmp_path / "away")
        (tmp_path / "secrets").touch()
        running = asyncio.create_task(Deskwork(desk, _CLOCK).run())
        await eventually(lambda: desk.facts("gate").device is not None)
        assert device.login.refused_total == 0
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _forbidden(*_):
    raise SoapRefusal("NotAuthorized", "Sender not authorized")


async def test_with_both_refused_nothing_is_forgotten_and_the_door_stays_shut(tmp_path):
    async with running_camera() as device:
        kept = PasswordFile(tmp_path, _settings(device))
        kept.begin("another one")
        device.login.password = "set by somebody else"
        line = OnvifLine(device.url, Login(USERNAME, PASSWORD), _CLOCK)
        for _ in range(3):
            with pytest.raises(CameraWrongPassword):
                await asyncio.to_thread(settle, line, kept)
        assert device.login.refused_total == 4  # each of the two once, by digest and by token
        assert kept.pending == "another one"
        line.close()


def test_a_password_changed_in_the_settings_counts_again(tmp_path):
    class Device:
        url = "http://10.0.0.1/onvif/device_service"

    PasswordFile(tmp_path, _settings(Device)).settle("made at the box")
    assert PasswordFile(tmp_path, _settings(Device)).password == "made at the box"
    assert PasswordFile(tmp_path, _settings(Device, "by hand")).password == "by hand"


def test_the_cameras_worker_uses_the_new_one_at_its_next_connection(tmp_path):
    class Device:
        url = "http://10.0.0.1/onvif/device_service"

    camera = structs.replace(_settings(Device), main_url="rtsp://10.0.0.1/main")
    streams = Streams(camera, tmp_path / "gate", SystemClock(), data_dir=tmp_path)
    assert streams.main().password == PASSWORD
    PasswordFile(tmp_path, camera).settle("made at the box")
    assert streams.main().password == "made at the box"
