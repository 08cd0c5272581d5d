"""A camera does once what it is told once; only a question over a dead connection is asked anew."""

import asyncio

import pytest

from agent.cameras.line import OnvifLine, Service
from agent.cameras.port import CameraUnreachable
from agent.cameras.soap import SoapLink
from agent.cameras.tls import CameraTls, fingerprint_of
from agent.core.clock import SystemClock
from tests.certificates import write_certificate
from tests.simulated_onvif import LOGIN, running_camera

CLOCK = SystemClock()
DATE = "GetSystemDateAndTime"


class Lost:
    """The next answer is lost with its connection."""

    def __init__(self):
        self.left = 1

    def __call__(self, good):
        if self.left:
            self.left -= 1
            raise asyncio.CancelledError  # the camera aborts it, without the farewell of TLS
        return good


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
async def link_and_camera(request, tmp_path):
    write_certificate(tmp_path, "one")
    files = (str(tmp_path / "one.pem"), str(tmp_path / "one.key"))
    async with running_camera(**({"tls_files": files} if request.param else {})) as device:
        tls = None
        if request.param:
            port = int(device.url.split(":")[2].partition("/")[0])
            known = await asyncio.to_thread(fingerprint_of, "127.0.0.1", port)
            tls = CameraTls(fingerprint=known)
        link = SoapLink(device.url, LOGIN, CLOCK, tls=tls)
        yield link, device
        link.close()


async def _ask(link):
    return await asyncio.to_thread(link.ask_openly, DATE, timeout_s=30.0)


async def test_over_a_kept_connection_it_is_asked_again(link_and_camera):
    link, device = link_and_camera
    await _ask(link)
    device.faults.spoils = {DATE: Lost()}
    assert (await _ask(link)).status_code == 200
    assert device.calls.count(DATE) == 3


async def test_over_a_new_connection_it_is_not(link_and_camera):
    link, device = link_and_camera
    device.faults.spoils = {DATE: Lost()}
    with pytest.raises(CameraUnreachable):
        await _ask(link)
    assert device.calls.count(DATE) == 1


@pytest.mark.parametrize(
    ("service", "action"),
    [
        (
            Service.PTZ,
            "<tptz:SetPreset><tptz:ProfileToken>main</tptz:ProfileToken></tptz:SetPreset>",
        ),
        (Service.EVENTS, "<tev:CreatePullPointSubscription/>"),
    ],
    ids=["SetPreset", "CreatePullPointSubscription"],
)
async def test_an_action_is_never_sent_twice(service, action):
    name = action.partition(">")[0].partition(":")[2].rstrip("/")
    async with running_camera() as device:
        line = OnvifLine(device.url, LOGIN, CLOCK)
        await asyncio.to_thread(line.ask, Service.DEVICE, "<tds:GetDeviceInformation/>")
        device.faults.spoils = {name: Lost()}
        with pytest.raises(CameraUnreachable):
            await asyncio.to_thread(line.ask, service, action)
        assert device.calls.count(name) == 1
        line.close()
