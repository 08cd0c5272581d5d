"""The simulated camera is judged by clients that are not ours, parsing strictly."""

import asyncio
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
import zeep
import zeep.wsa
from lxml import etree
from requests.auth import HTTPDigestAuth
from zeep.wsse.username import UsernameToken

from agent.simulators.camera.onvif_events import DIGITAL_INPUT, MOTION
from tests.simulated_onvif import PASSWORD, USERNAME, running_camera

_WSDL = Path(importlib.util.find_spec("onvif").origin).parents[1] / "wsdl"
_VER10 = "http://www.onvif.org/ver10"
_DEVICE = ("devicemgmt.wsdl", f"{{{_VER10}/device/wsdl}}DeviceBinding", "device_service")
_MEDIA = ("media.wsdl", f"{{{_VER10}/media/wsdl}}MediaBinding", "media_service")
_PTZ = ("ptz.wsdl", "{http://www.onvif.org/ver20/ptz/wsdl}PTZBinding", "ptz_service")
_EVENTS = ("events.wsdl", f"{{{_VER10}/events/wsdl}}EventBinding", "event_service")
_DEVICE_IO = (
    "deviceio.wsdl",
    f"{{{_VER10}/deviceIO/wsdl}}DeviceIOBinding",
    "deviceio_service",
)
_IMAGING = (
    "imaging.wsdl",
    "{http://www.onvif.org/ver20/imaging/wsdl}ImagingBinding",
    "imaging_service",
)
_POINT = "PullPointSubscriptionBinding"


@pytest.fixture
async def camera():
    async with running_camera(name='Pole <7> & "co"') as device:
        yield device


class _Foreign:
    """Plain zeep, strict, with its own transport and login."""

    def __init__(self, device: Any, login: str) -> None:
        self._base = device.url.rpartition("/")[0]
        self.session = requests.Session()
        self.session.trust_env = False
        if login == "digest":
            self.session.auth = HTTPDigestAuth(USERNAME, PASSWORD)
        self._wsse = (
            UsernameToken(USERNAME, PASSWORD, use_digest=True) if login == "token" else None
        )

    def service(self, which: tuple[str, str, str], address: str = "") -> Any:
        wsdl, binding, path = which
        client = zeep.Client(
            str(_WSDL / wsdl),
            transport=zeep.Transport(session=self.session, operation_timeout=10),
            wsse=self._wsse,
            plugins=[zeep.wsa.WsAddressingPlugin()] if wsdl.startswith("events") else [],
            settings=zeep.Settings(strict=True),
        )
        self.client = client
        return client.create_service(binding, address or f"{self._base}/{path}")


@pytest.mark.parametrize("login", ["digest", "token"])
async def test_strict_zeep_reads_every_answer(camera, login):
    def visit() -> None:
        foreign = _Foreign(camera, login)
        device, media, ptz = (foreign.service(which) for which in (_DEVICE, _MEDIA, _PTZ))
        assert device.GetSystemDateAndTime().UTCDateTime.Date.Year >= 2026
        assert device.GetDeviceInformation().Model == 'Pole <7> & "co"'
        assert device.GetCapabilities(Category=["All"]).PTZ.XAddr.endswith("/ptz_service")
        assert len(device.GetServices(IncludeCapability=False)) == 6
        assert len(device.GetScopes()) == 5
        assert device.GetNetworkInterfaces()[0].Info.HwAddress == "02:00:5e:00:00:01"
        assert f"urn:uuid:{device.GetEndpointReference()['GUID']}" == camera.epr
        assert device.GetUsers()[0].UserLevel == "Administrator"
        assert device.GetNTP().NTPManual[0].IPv4Address == "192.0.2.1"
        assert device.GetHostname().Name == "camera"
        assert device.GetRelayOutputs()[0].Properties.Mode == "Bistable"
        device.SetRelayOutputState(RelayOutputToken="relay-1", LogicalState="active")
        board = foreign.service(_DEVICE_IO)
        assert board.GetDigitalInputs()[1].token == "input-2"
        board.SetRelayOutputState(RelayOutputToken="relay-1", LogicalState="inactive")
        profile = next(p for p in media.GetProfiles() if p.token == "main")
        assert profile.VideoEncoderConfiguration.H264.GovLength == 30
        assert media.GetVideoSources()[0].Resolution.Width == 1920
        assert media.GetSnapshotUri(ProfileToken="main").Uri.endswith(".jpg")
        assert (
            ptz.GetNodes()[0].SupportedPTZSpaces.ContinuousPanTiltVelocitySpace[0].XRange.Max == 1
        )
        assert ptz.GetConfigurations()[0].NodeToken == "ptz-node"
        velocity = {"PanTilt": {"x": 1.0, "y": 0.0}}
        ptz.ContinuousMove(ProfileToken="main", Velocity=velocity, Timeout="PT20S")
        assert ptz.GetStatus(ProfileToken="main").MoveStatus.PanTilt == "MOVING"
        ptz.Stop(ProfileToken="main")
        assert ptz.GetStatus(ProfileToken="main").Position.PanTilt.x > 0
        with pytest.raises(zeep.exceptions.Fault):
            ptz.CreatePresetTour(ProfileToken="main")
        ptz.AbsoluteMove(ProfileToken="main", Position={"PanTilt": {"x": 0.1, "y": 0.2}})
        ptz.RelativeMove(ProfileToken="main", Translation={"PanTilt": {"x": 0.1, "y": 0.2}})
        ptz.GotoHomePosition(ProfileToken="main")
        assert ptz.SetPreset(ProfileToken="main", PresetName="here", PresetToken="1") == "1"
        ptz.GotoPreset(ProfileToken="main", PresetToken="1")
        assert ptz.SendAuxiliaryCommand(ProfileToken="main", AuxiliaryData="tt:Wiper|On")
        assert len(ptz.GetPresets(ProfileToken="main")) == 2
        imaging = foreign.service(_IMAGING)
        told = imaging.GetImagingSettings(VideoSourceToken="sensor")
        assert (told.IrCutFilter, told.Exposure.Mode) == ("AUTO", "AUTO")
        told.IrCutFilter = "OFF"
        imaging.SetImagingSettings(VideoSourceToken="sensor", ImagingSettings=told)
        focus = {"Continuous": {"Speed": 0.5}}
        imaging.Move(VideoSourceToken="sensor", Focus=focus)
        imaging.Stop(VideoSourceToken="sensor")
        assert imaging.GetImagingSettings(VideoSourceToken="sensor").IrCutFilter == "OFF"
        assert media.GetOSDs()[0].TextString.PlainText == "Camera 1"
        osd = media.GetOSDs()[0]
        osd.TextString.PlainText = "Pole 7"
        media.SetOSD(OSD=osd)
        assert media.GetOSDs()[0].TextString.PlainText == "Pole 7"
        encoder = media.GetVideoEncoderConfiguration(ConfigurationToken="encoder-sub")
        encoder.H264.GovLength = 12
        media.SetVideoEncoderConfiguration(Configuration=encoder, ForcePersistence=True)
        again = media.GetVideoEncoderConfigurations()
        assert {e.token: e.H264.GovLength for e in again} == {"encoder-main": 30, "encoder-sub": 12}
        foreign.session.close()

    await asyncio.to_thread(visit)


async def test_strict_zeep_pulls_the_bell_and_motion_and_gives_its_slot_back(camera):
    foreign = _Foreign(camera, "token")
    events = await asyncio.to_thread(foreign.service, _EVENTS)
    made = await asyncio.to_thread(events.CreatePullPointSubscription)
    address = made.SubscriptionReference.Address._value_1
    point = foreign.client.create_service(f"{{{_VER10}/events/wsdl}}{_POINT}", address)
    manager = foreign.client.create_service(
        f"{{{_VER10}/events/wsdl}}SubscriptionManagerBinding", address
    )

    async with asyncio.TaskGroup() as tasks:
        pulling = tasks.create_task(
            asyncio.to_thread(point.PullMessages, Timeout="PT20S", MessageLimit=10)
        )
        while "PullMessages" not in camera.calls:  # noqa: ASYNC110 - a foreign call
            await asyncio.sleep(0.01)
        camera.fire(DIGITAL_INPUT, {"InputToken": "bell"}, {"LogicalState": "true"})
    camera.fire(MOTION, {"VideoSourceConfigurationToken": "source"}, {"IsMotion": "true"})
    more = await asyncio.to_thread(point.PullMessages, Timeout="PT20S", MessageLimit=10)
    none = await asyncio.to_thread(point.PullMessages, Timeout="PT0.1S", MessageLimit=10)
    await asyncio.to_thread(point.SetSynchronizationPoint)
    states = await asyncio.to_thread(point.PullMessages, Timeout="PT20S", MessageLimit=10)
    await asyncio.to_thread(manager.Renew, TerminationTime="PT60S")
    await asyncio.to_thread(manager.Unsubscribe)

    assert _facts(pulling.result()) == [("Changed", {"InputToken": "bell", "LogicalState": "true"})]
    assert _facts(more)[0][1]["IsMotion"] == "true"
    assert _facts(none) == []
    assert [operation for operation, _ in _facts(states)] == ["Initialized", "Initialized"]
    assert not camera.events.points
    foreign.session.close()


async def test_onvif_zeep_s_own_camera_connects_moves_and_stops(camera):
    script = Path(__file__).with_name("onvif_zeep_client.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        camera.url.split(":")[2].split("/")[0],
        USERNAME,
        PASSWORD,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()

    assert process.returncode == 0, errors.decode()
    learnt = json.loads(out)
    assert learnt["serial"] == camera.config.serial
    assert learnt["uri"] == camera.config.rtsp_sub_url
    assert learnt["moves"] == ["MOVING", "IDLE"]
    assert learnt["pan"] > 0
    assert learnt["events"]
    assert (camera.motor.moves_total, camera.motor.stops_total) == (1, 1)


def _facts(pulled: Any) -> list[tuple[str, dict[str, str]]]:
    found = []
    for message in pulled.NotificationMessage:
        element: etree._Element = message.Message._value_1
        items = {i.get("Name"): i.get("Value") for i in element.iter("{*}SimpleItem")}
        found.append((element.get("PropertyOperation"), items))
    return found
