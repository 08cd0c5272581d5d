"""What no camera should say, and nobody thought of, ends nothing but that one question."""

import asyncio

import pytest

from agent.cameras.bounded_http import Answer
from agent.cameras.gate import CameraGate
from agent.cameras.port import CameraBadResponse, CameraUnreachable
from agent.cameras.soap_answer import camera_time, http_time
from agent.core.clock import SystemClock
from agent.settings.model import CameraSettings
from tests.onvif_box import make_desk
from tests.simulated_onvif import PASSWORD, USERNAME, control_of, eventually, running_camera

_YEARS = ["99999999999999999999", "9999", "0", "-1", "x" * 10_000, "9" * 10_000]
_DATES = [
    "Mon, 01 Jan 99999999999 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 31 Dec 9999 23:59:59 -2300",
    "Sun, 22 Nov 2026 00:00:00 +999999999999",
]


def _settings(camera_id, device):
    return CameraSettings(
        camera_id=camera_id, onvif_url=device.url, username=USERNAME, password=PASSWORD
    )


@pytest.mark.parametrize("year", _YEARS, ids=lambda year: year[:12])
def test_a_year_no_calendar_has_is_no_time(year):
    names = ("Year", "Month", "Day", "Hour", "Minute", "Second")
    told = "".join(f"<{n}>{year if n == 'Year' else 11}</{n}>" for n in names)
    body = f"<Envelope><UTCDateTime>{told}</UTCDateTime></Envelope>".encode()
    assert camera_time(Answer(200, {}, body)) is None


@pytest.mark.parametrize("date", _DATES)
def test_a_date_no_calendar_has_is_no_time(date):
    assert http_time(Answer(200, {"Date": date}, b"")) is None


async def test_a_surprise_in_the_gate_is_a_bad_response():
    async with running_camera() as device:
        gate = CameraGate(lambda: control_of(device), SystemClock())
        for ask in (
            lambda: gate.over(lambda _: 1 / 0),
            lambda: gate.head(lambda _: 1 / 0),
            lambda: gate.go(lambda _: bool(1 / 0)),
        ):
            with pytest.raises(CameraBadResponse):
                await ask()
        assert (await gate.facts()).serial
        await gate.close()


async def test_who_waits_at_a_gate_that_is_closed_is_told_so():
    async with running_camera() as device:
        gate = CameraGate(lambda: control_of(device), SystemClock())
        device.faults.slow_s = {"GetDeviceInformation": 2.0}
        asked = [asyncio.create_task(gate.facts()) for _ in range(2)]
        await eventually(lambda: "GetDeviceInformation" in device.calls)
        await gate.close()
        with pytest.raises(CameraUnreachable):
            await asked[1]
        with pytest.raises(CameraUnreachable):
            await gate.position()
        await asyncio.gather(*asked, return_exceptions=True)


async def test_a_stop_is_sent_after_one_that_met_a_surprise():
    class Odd:
        stops = 0

        def stop(self):
            self.stops += 1
            if self.stops == 1:
                raise ZeroDivisionError

        def position(self):
            raise CameraBadResponse("no position")

        def close(self):
            pass

    odd = Odd()
    gate = CameraGate(lambda: odd, SystemClock())
    with pytest.raises(CameraBadResponse):
        await gate.stop()
    await gate.stop()
    assert odd.stops >= 2
    await gate.close()


@pytest.mark.parametrize("takes", ["digest", "token"])
async def test_a_camera_with_a_mad_clock_costs_no_other_camera_anything(
    tmp_path, unused_tcp_port, takes
):
    async with running_camera() as good, running_camera() as bad:
        bad.login.takes = (takes,)
        bad.faults.year = _YEARS[0]
        cameras = _settings("good", good), _settings("bad", bad)
        desk = make_desk(tmp_path, SystemClock(), unused_tcp_port, *cameras)
        running = asyncio.create_task(desk.run())
        for camera_id in ("good", "bad"):
            await eventually(lambda name=camera_id: desk.facts(name).device)
        await eventually(lambda: (ears := desk.ears("good")) and ears.status.is_live)
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await desk.stop()


async def test_a_surprise_in_one_camera_s_care_ends_no_other_s_and_is_tried_again(
    tmp_path, unused_tcp_port, monkeypatch
):
    async with running_camera() as good, running_camera() as bad:
        cameras = _settings("good", good), _settings("bad", bad)
        desk = make_desk(tmp_path, SystemClock(), unused_tcp_port, *cameras)
        place, tries = desk._places["bad"], []
        look = place.look

        async def surprised(*, is_lost):
            tries.append(is_lost)
            if len(tries) == 1:
                raise ZeroDivisionError
            await look(is_lost=is_lost)

        monkeypatch.setattr(place, "look", surprised)
        running = asyncio.create_task(desk.run())
        await eventually(lambda: (ears := desk.ears("good")) and ears.status.is_live)
        await eventually(lambda: desk.facts("bad").device)
        assert not running.done()
        assert desk.ears("good").status.opened_total == 1
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await desk.stop()
