"""A wrong password is tried once by all lines together, and a changed one at once."""

import asyncio
from contextlib import asynccontextmanager
from functools import partial

import pytest

from agent.cameras.door import LATELY_S, Door
from agent.cameras.line import OnvifLine, Service
from agent.cameras.memory import load
from agent.cameras.port import (
    CameraFailure,
    CameraStranger,
    CameraUnreachable,
    CameraWrongPassword,
    Login,
)
from agent.cameras.pull_point import PullPoint
from agent.cameras.recognition import open_look
from agent.cameras.zeep_backend import ZeepCamera
from agent.core.clock import SystemClock
from agent.core.login_tries import BACK_OFF_S
from agent.settings.camera_io import CameraRelay
from agent.simulators.camera.onvif_device import SNAPSHOT_PATH
from agent.simulators.camera.onvif_events import DIGITAL_INPUT
from tests.onvif_box import Deskwork, make_desk, settings_of
from tests.simulated_onvif import (
    LOGIN,
    PASSWORD,
    USERNAME,
    ShiftedClock,
    eventually,
    running_camera,
)

WRONG = Login(USERNAME, "wrong")
_WHO = "<tds:GetDeviceInformation/>"


@pytest.fixture(params=[("digest", "token"), ("token",)], ids=["digest", "token"])
async def camera(request):
    async with running_camera() as device:
        device.login.takes = request.param
        yield device


def _lines(camera, door, count=3, clock=None):
    # Deadlines keep to the real time, back-offs to the door's.
    return [OnvifLine(camera.url, door, clock or SystemClock()) for _ in range(count)]


async def _ask(line):
    try:
        return await asyncio.to_thread(line.ask, Service.DEVICE, _WHO)
    except CameraFailure as error:
        return error


def tries(camera):
    """Return how often one wrong password is seen: by digest, and once by token."""
    return len(camera.login.takes)


async def test_several_lines_at_once_try_a_wrong_password_once(camera):
    lines = _lines(camera, Door(WRONG, SystemClock()), 4)
    for _ in range(2):
        answers = await asyncio.gather(*(_ask(line) for line in lines))
        assert all(isinstance(answer, CameraWrongPassword) for answer in answers)
    assert camera.login.refused_total == tries(camera)
    for line in lines:
        line.close()


async def test_a_changed_secret_is_tried_at_once_by_all(camera):
    door = Door(WRONG, SystemClock())
    lines = _lines(camera, door)
    await asyncio.gather(*(_ask(line) for line in lines))
    door.change(LOGIN)
    answers = await asyncio.gather(*(_ask(line) for line in lines))
    assert not any(isinstance(answer, CameraFailure) for answer in answers)
    assert camera.login.refused_total == tries(camera)
    for line in lines:
        line.close()


async def test_the_same_wrong_password_is_tried_again_only_after_five_minutes(camera):
    clock = ShiftedClock()
    door = Door(WRONG, clock)
    lines = _lines(camera, door)
    await _ask(lines[0])
    clock.shift_s = BACK_OFF_S - 30.0
    assert isinstance(await _ask(lines[1]), CameraWrongPassword)
    assert camera.login.refused_total == tries(camera)
    clock.shift_s = BACK_OFF_S + 30.0
    answers = await asyncio.gather(*(_ask(line) for line in lines))
    assert all(isinstance(answer, CameraWrongPassword) for answer in answers)
    assert camera.login.refused_total == tries(camera) + 1
    for line in lines:
        line.close()


async def test_an_answer_to_the_login_before_proves_nothing_of_the_new_one(camera):
    door = Door(LOGIN, SystemClock())
    (line,) = _lines(camera, door, 1)
    await _ask(line)
    camera.faults.slow_s = {"GetUsers": 0.5}
    asking = asyncio.create_task(asyncio.to_thread(line.ask, Service.DEVICE, "<tds:GetUsers/>"))
    await eventually(lambda: "GetUsers" in camera.calls)
    door.change(WRONG)
    await asking
    assert not door.is_proven
    line.close()


async def test_a_stop_does_not_wait_for_a_login_of_another_line_that_hangs(camera):
    camera.login.nonce_once = camera.faults.nonce_once = True
    slow, quick = _lines(camera, Door(LOGIN, SystemClock()), 2)
    await _ask(quick)
    await _ask(slow)
    camera.faults.slow_s = {"GetUsers": 3600.0}
    ask_users = partial(slow.ask, Service.DEVICE, "<tds:GetUsers/>", timeout_s=60.0)
    hanging = asyncio.create_task(asyncio.to_thread(ask_users))
    await eventually(lambda: "GetUsers" in camera.calls)
    assert not isinstance(await _ask(quick), CameraFailure)
    assert not hanging.done()
    camera.faults.slow_s = {}
    for connection in tuple(camera._http._connections):
        connection.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
    for line in (slow, quick):
        line.close()


class Look:
    """Looks who is there, as a box does, and counts."""

    def __init__(self):
        self.times, self.is_strange = 0, False

    def __call__(self, link, timeout_s):
        self.times += 1
        if self.is_strange:
            raise CameraStranger("another camera")
        open_look(link, timeout_s)
        return True


@asynccontextmanager
async def in_doubt(takes=("digest", "token")):
    """Give a camera that hangs on questions, so that who is there is in doubt."""
    clock, look = ShiftedClock(), Look()
    async with running_camera() as device:
        device.login.takes = takes
        control = ZeepCamera(device.url, Door(LOGIN, clock, look), SystemClock(), call_s=20.0)
        await asyncio.to_thread(control.facts)
        await asyncio.to_thread(control.position)
        hanging = ("GetDeviceInformation", "GetEndpointReference", "GetSystemDateAndTime")
        device.faults.slow_s = dict.fromkeys(hanging, 60.0)
        with pytest.raises(CameraUnreachable):  # a busy machine would not answer so soon, either
            await asyncio.to_thread(control.line.ask, Service.DEVICE, _WHO, timeout_s=0.5)
        assert look.times == 1
        yield device, control, look, clock
        control.close()


async def test_soon_after_a_good_answer_a_stop_does_not_wait_for_a_look():
    async with in_doubt() as (device, control, look, _):
        await asyncio.to_thread(control.stop)
        assert device.calls[-1] == "Stop"
        assert look.times == 1


async def test_a_stop_that_is_refused_looks_before_it_logs_in_anew():
    async with in_doubt() as (device, control, look, _):
        device.login._nonces.clear()
        await asyncio.to_thread(control.stop)
        assert device.calls[-1] == "Stop"
        assert look.times == 2


async def test_later_or_by_token_a_stop_looks_first():
    async with in_doubt() as (_, control, look, clock):
        clock.shift_s = LATELY_S
        await asyncio.to_thread(control.stop)
        assert look.times == 2
    async with in_doubt(("token",)) as (_, control, look, _):
        await asyncio.to_thread(control.stop)
        assert look.times == 2


async def test_a_stranger_who_was_seen_gets_no_stop():
    async with in_doubt() as (device, control, look, _):
        look.is_strange = True
        for ask in (control.position, control.stop):
            with pytest.raises(CameraStranger):
                await asyncio.to_thread(ask)
        assert "Stop" not in device.calls


@pytest.mark.parametrize("is_proven", [True, False])
async def test_a_login_that_is_refused_for_a_file_is_tried_once(camera, is_proven):
    door = Door(LOGIN, SystemClock())
    (line,) = _lines(camera, door, 1)
    if is_proven:
        await _ask(line)
    url = camera.url.rpartition("/onvif/")[0] + SNAPSHOT_PATH
    camera.login.password, tried, answer = "another", [], camera._answer_file

    def answer_file(request):
        tried.extend(name for name in request.headers if name == "authorization")
        return answer(request)

    camera._answer_file = answer_file
    for _ in range(3):
        with pytest.raises(CameraWrongPassword):
            await asyncio.to_thread(line.link.fetch, url)
    assert len(tried) == 1
    assert door.is_proven == is_proven
    if not is_proven:
        assert isinstance(await _ask(line), CameraWrongPassword)
        assert not camera.login.refused_total
    line.close()


async def test_a_long_pull_for_events_keeps_nobody_waiting_at_the_door(camera):
    door = Door(LOGIN, SystemClock())
    pulling, other = _lines(camera, door, 2)
    point = await asyncio.to_thread(PullPoint.open, pulling, SystemClock())
    door.change(LOGIN)  # as after a change of password: to be proven anew
    long = asyncio.create_task(asyncio.to_thread(point.pull, 20.0))
    await eventually(lambda: "PullMessages" in camera.calls)
    assert not isinstance(await _ask(other), CameraFailure)
    assert not long.done()
    camera.fire(DIGITAL_INPUT, {"InputToken": "1"}, {"LogicalState": "true"})
    assert await long
    await asyncio.to_thread(point.close)
    for line in (pulling, other):
        line.close()


async def test_the_box_as_a_whole_tries_a_wrong_password_once_and_a_corrected_one_at_once(
    tmp_path, unused_tcp_port
):
    async with running_camera() as device:
        clock, relays = SystemClock(), (CameraRelay(token="relay-1"),)
        wrong = settings_of(device, password="wrong", relays=relays)
        desk = make_desk(tmp_path, clock, unused_tcp_port, wrong)
        running = asyncio.create_task(Deskwork(desk, clock).run())
        await eventually(lambda: desk.facts("gate").code == "camera.wrong_password")
        await asyncio.to_thread(desk.relays("gate").make_safe)
        for question in (desk.gate("gate").facts, desk.gate("gate").position):
            with pytest.raises(CameraWrongPassword):
                await question()
        assert device.login.refused_total == tries(device)

        desk.use((settings_of(device, relays=relays),))
        await eventually(lambda: (ears := desk.ears("gate")) and ears.status.is_live, within_s=20)
        assert device.login.refused_total == tries(device)
        desk.use(())  # taken out of the settings: it is let go, its slot given back
        await eventually(lambda: desk.facts("gate") is None)
        await eventually(lambda: not device.events.points)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_the_camera_thinks_of_a_login_meanwhile_is_told_and_that_it_is_over(
    tmp_path, unused_tcp_port
):
    """Somebody changes the password at the camera, and back; its video goes on all the time."""
    async with running_camera() as device:
        clock = ShiftedClock()
        desk = make_desk(tmp_path, clock, unused_tcp_port, settings_of(device))
        running = asyncio.create_task(Deskwork(desk, clock).run())
        await eventually(lambda: (ears := desk.ears("gate")) and ears.status.is_live)
        assert desk.facts("gate").code is None
        device.login.password = "another"
        device.fire(DIGITAL_INPUT, {"InputToken": "1"}, {"LogicalState": "true"})  # ends the pull
        await eventually(lambda: desk.facts("gate").code == "camera.wrong_password", within_s=90)
        assert device.login.refused_total <= 4
        device.login.password = PASSWORD
        clock.shift_s += BACK_OFF_S + 60.0
        await eventually(lambda: desk.facts("gate").code is None, within_s=90)
        await eventually(lambda: desk.ears("gate").status.is_live, within_s=90)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_camera_that_asks_for_a_digest_and_takes_a_token_only_is_let_in_by_that(
    tmp_path, unused_tcp_port
):
    async with running_camera() as device:
        device.faults.refuses_digest = True
        for refused in (1, 1):  # remembered, over a restart of the box, too
            desk = make_desk(tmp_path, SystemClock(), unused_tcp_port, settings_of(device))
            running = asyncio.create_task(Deskwork(desk, SystemClock()).run())
            await eventually(lambda d=desk: (ears := d.ears("gate")) and ears.status.is_live)
            assert device.login.refused_total == refused
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert load(tmp_path, "gate").login_by == "token"


def test_a_login_that_was_taken_may_fall_back_again():
    door = Door(LOGIN, SystemClock())
    assert door.may_fall_back(door.key)
    assert not door.may_fall_back(door.key)  # each try may count for a lock-out
    door.opened(door.key)
    assert door.may_fall_back(door.key)


async def test_a_refused_digest_is_the_password_where_digests_were_taken_before():
    async with running_camera() as device:
        door = Door(LOGIN, SystemClock())
        (line,) = _lines(device, door, 1)
        await _ask(line)
        door.change(WRONG)
        assert isinstance(await _ask(line), CameraWrongPassword)
        assert device.login.refused_total == 1
        line.close()
