"""Each answer that the simulated camera can give is read by zeep, strictly; none is left out."""

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import requests
import zeep
import zeep.wsa
from lxml import etree
from requests.auth import HTTPDigestAuth
from zeep.wsse.username import UsernameToken

from agent.simulators.camera.onvif_events import DIGITAL_INPUT
from agent.simulators.camera.onvif_settings import SimulatedPlace
from tests import foreign
from tests.simulated_onvif import PASSWORD, USERNAME, running_camera

_WSDL = Path(importlib.util.find_spec("onvif").origin).parents[1] / "wsdl"
_VER10, _VER20 = "http://www.onvif.org/ver10", "http://www.onvif.org/ver20"
_EVENTS = f"{_VER10}/events/wsdl"
_PROFILE = {"ProfileToken": "main"}


class _Seen(zeep.Plugin):
    """Notes what was answered, as the camera's table has it."""

    def __init__(self) -> None:
        self.operations: set[tuple[str, str]] = set()

    def ingress(self, envelope: Any, http_headers: Any, operation: Any) -> Any:
        answer = etree.QName(envelope.find("{*}Body")[0])
        if answer.localname != "Fault":
            self.operations.add((answer.namespace, answer.localname.removesuffix("Response")))
        return envelope, http_headers


class _Judge:
    """Plain zeep, strict, with its own transport and login; `newer` is the folder of Media 2's."""

    def __init__(self, camera: Any, login: str, newer: Path) -> None:
        self._camera, self._base, self._newer = camera, camera.url.rpartition("/")[0], newer
        self.session, self.seen = requests.Session(), _Seen()
        self.session.trust_env = False
        if login == "digest":
            self.session.auth = HTTPDigestAuth(USERNAME, PASSWORD)
        self._wsse = (
            UsernameToken(USERNAME, PASSWORD, use_digest=True) if login == "token" else None
        )

    def client(self, wsdl: Path, *plugins: zeep.Plugin) -> zeep.Client:
        return zeep.Client(
            str(wsdl),
            transport=zeep.Transport(session=self.session, operation_timeout=30),
            wsse=self._wsse,
            plugins=[self.seen, *plugins],
            settings=zeep.Settings(strict=True),
        )

    def service(self, wsdl: Path, binding: str, path: str) -> Any:
        return self.client(wsdl).create_service(binding, f"{self._base}/{path}")

    def device(self) -> None:
        camera = self._camera
        binding = f"{{{_VER10}/device/wsdl}}DeviceBinding"
        device = self.service(_WSDL / "devicemgmt.wsdl", binding, "device_service")
        told = device.GetSystemDateAndTime()
        assert told.UTCDateTime.Date.Year >= 2026
        device.SetSystemDateAndTime(
            DateTimeType="Manual", DaylightSavings=False, UTCDateTime=told.UTCDateTime
        )
        assert device.GetDeviceInformation().Model == 'Pole <7> & "co"'
        assert device.GetCapabilities(Category=["All"]).PTZ.XAddr.endswith("/ptz_service")
        assert len(device.GetServices(IncludeCapability=False)) == 7
        assert len(device.GetScopes()) == 5
        assert device.GetNetworkInterfaces()[0].Info.HwAddress == "02:00:5e:00:00:01"
        assert f"urn:uuid:{device.GetEndpointReference()['GUID']}" == camera.epr
        (user,) = device.GetUsers()
        assert user.UserLevel == "Administrator"
        user.Password = PASSWORD
        device.SetUser(User=[user])
        assert device.GetNTP().NTPManual[0].IPv4Address == "192.0.2.1"
        assert device.GetHostname().Name == "camera"
        assert device.GetRelayOutputs()[0].Properties.Mode == "Bistable"
        device.SetRelayOutputState(RelayOutputToken="relay-1", LogicalState="active")
        binding = f"{{{_VER10}/deviceIO/wsdl}}DeviceIOBinding"
        board = self.service(_WSDL / "deviceio.wsdl", binding, "deviceio_service")
        assert board.GetDigitalInputs()[1].token == "input-2"
        board.SetRelayOutputState(RelayOutputToken="relay-1", LogicalState="inactive")
        assert device.SystemReboot() == "soon"

    def media(self) -> None:
        binding = f"{{{_VER10}/media/wsdl}}MediaBinding"
        media = self.service(_WSDL / "media.wsdl", binding, "media_service")
        profile = next(p for p in media.GetProfiles() if p.token == "main")
        assert profile.VideoEncoderConfiguration.H264.GovLength == 30
        assert media.GetVideoSources()[0].Resolution.Width == 1920
        setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
        assert media.GetStreamUri(StreamSetup=setup, **_PROFILE).Uri.startswith("rtsp://")
        assert media.GetSnapshotUri(**_PROFILE).Uri.endswith(".jpg")
        encoder = media.GetVideoEncoderConfiguration(ConfigurationToken="encoder-sub")
        encoder.H264.GovLength = 12
        media.SetVideoEncoderConfiguration(Configuration=encoder, ForcePersistence=True)
        again = media.GetVideoEncoderConfigurations()
        assert {e.token: e.H264.GovLength for e in again} == {"encoder-main": 30, "encoder-sub": 12}
        _change_texts(media)

    def media2(self) -> None:
        wsdl = self._newer / "media" / "wsdl" / "media.wsdl"
        media = self.service(wsdl, f"{{{_VER20}/media/wsdl}}Media2Binding", "media2_service")
        main = next(p for p in media.GetProfiles(Type=["All"]) if p.token == "main")
        assert main.Configurations.VideoEncoder.GovLength == 30
        assert main.Configurations.AudioEncoder.Encoding == "PCMU"
        assert main.Configurations.PTZ.NodeToken == "ptz-node"
        assert media.GetStreamUri(Protocol="RTSP", **_PROFILE).startswith("rtsp://")
        assert media.GetSnapshotUri(**_PROFILE).endswith(".jpg")
        (encoder,) = media.GetVideoEncoderConfigurations(ConfigurationToken="encoder-main")
        encoder.GovLength = 15
        media.SetVideoEncoderConfiguration(Configuration=encoder)
        told = {e.token: e.GovLength for e in media.GetVideoEncoderConfigurations()}
        assert told["encoder-main"] == 15
        _change_texts(media)
        corners = [{"x": x, "y": y} for x, y in ((-0.5, 0.5), (0.5, 0.5), (0.5, -0.5))]
        mask = {"token": "", "ConfigurationToken": "source", "Polygon": {"Point": corners}}
        token = media.CreateMask(Mask={**mask, "Type": "Color", "Enabled": True})
        assert [len(m.Polygon.Point) for m in media.GetMasks()] == [3]
        media.DeleteMask(Token=token)
        assert not media.GetMasks()

    def ptz(self) -> None:
        wsdl = self._newer / "ptz" / "wsdl" / "ptz.wsdl"
        ptz = self.service(wsdl, f"{{{_VER20}/ptz/wsdl}}PTZBinding", "ptz_service")
        spaces = ptz.GetNodes()[0].SupportedPTZSpaces
        assert spaces.ContinuousPanTiltVelocitySpace[0].XRange.Max == 1
        assert ptz.GetConfigurations()[0].NodeToken == "ptz-node"
        velocity = {"PanTilt": {"x": 1.0, "y": 0.0}}
        ptz.ContinuousMove(Velocity=velocity, Timeout="PT20S", **_PROFILE)
        assert ptz.GetStatus(**_PROFILE).MoveStatus.PanTilt == "MOVING"
        ptz.Stop(**_PROFILE)
        assert ptz.GetStatus(**_PROFILE).Position.PanTilt.x > 0
        with pytest.raises(zeep.exceptions.Fault):
            ptz.CreatePresetTour(**_PROFILE)
        ptz.AbsoluteMove(Position={"PanTilt": {"x": 0.1, "y": 0.2}}, **_PROFILE)
        ptz.RelativeMove(Translation={"PanTilt": {"x": 0.1, "y": 0.2}}, **_PROFILE)
        ptz.SetHomePosition(**_PROFILE)
        ptz.GotoHomePosition(**_PROFILE)
        assert ptz.SetPreset(PresetName="here", PresetToken="1", **_PROFILE) == "1"
        ptz.GotoPreset(PresetToken="1", **_PROFILE)
        assert len(ptz.GetPresets(**_PROFILE)) == 2
        ptz.RemovePreset(PresetToken="2", **_PROFILE)
        assert [preset.token for preset in ptz.GetPresets(**_PROFILE)] == ["1"]
        assert ptz.SendAuxiliaryCommand(AuxiliaryData="tt:Wiper|On", **_PROFILE)
        ptz.GeoMove(Target={"lat": 37.5001, "lon": 127.0, "elevation": 0.0}, **_PROFILE)

    def imaging(self) -> None:
        binding = f"{{{_VER20}/imaging/wsdl}}ImagingBinding"
        imaging = self.service(_WSDL / "imaging.wsdl", binding, "imaging_service")
        source = {"VideoSourceToken": "sensor"}
        told = imaging.GetImagingSettings(**source)
        assert (told.IrCutFilter, told.Exposure.Mode) == ("AUTO", "AUTO")
        told.IrCutFilter = "OFF"
        imaging.SetImagingSettings(ImagingSettings=told, **source)
        imaging.Move(Focus={"Continuous": {"Speed": 0.5}}, **source)
        imaging.Stop(**source)
        assert imaging.GetImagingSettings(**source).IrCutFilter == "OFF"

    def events(self) -> None:
        client = self.client(_WSDL / "events.wsdl", zeep.wsa.WsAddressingPlugin())

        def at(binding: str, address: str) -> Any:
            return client.create_service(f"{{{_EVENTS}}}{binding}", address)

        events = at("EventBinding", f"{self._base}/event_service")
        told = events.GetEventProperties()
        assert told.FixedTopicSet is True
        topics = [found for top in told.TopicSet._value_1 for found in top.iter()]
        assert any("DigitalInput" in str(found.tag) for found in topics)
        made = events.CreatePullPointSubscription()
        address = made.SubscriptionReference.Address._value_1
        self._camera.fire(DIGITAL_INPUT, {"InputToken": "1"}, {"LogicalState": "true"})
        point = at("PullPointSubscriptionBinding", address)
        point.SetSynchronizationPoint()
        pulled = point.PullMessages(Timeout="PT20S", MessageLimit=10)
        assert [m.Topic is not None for m in pulled.NotificationMessage] == [True, True]
        manager = at("SubscriptionManagerBinding", address)
        assert manager.Renew(TerminationTime="PT60S").TerminationTime is not None
        manager.Unsubscribe()
        made = at("NotificationProducerBinding", f"{self._base}/event_service").Subscribe(
            ConsumerReference={"Address": {"_value_1": "http://127.0.0.1:9/consumer"}},
            InitialTerminationTime="PT60S",
        )
        at("SubscriptionManagerBinding", made.SubscriptionReference.Address._value_1).Unsubscribe()


def _change_texts(media: Any) -> None:
    osd = media.GetOSDs()[0]
    osd.TextString.PlainText = "Pole 7"
    media.SetOSD(OSD=osd)
    osd.token = ""
    made = media.CreateOSD(OSD=osd)
    token = getattr(made, "OSDToken", made)
    assert [shown.TextString.PlainText for shown in media.GetOSDs()] == ["Pole 7", "Pole 7"]
    media.DeleteOSD(OSDToken=token)
    assert len(media.GetOSDs()) == 1


@pytest.mark.parametrize("login", ["digest", "token"])
async def test_zeep_reads_strictly_every_answer_the_simulated_camera_has(request, login):
    newer = (await asyncio.to_thread(foreign.media2_wsdl, request)).parents[2]
    place = SimulatedPlace(lat=37.5, lon=127.0)
    async with running_camera(media2=True, place=place, name='Pole <7> & "co"') as camera:
        camera.faults.sends_audio = True
        camera.system._on_reboot = lambda: None  # it answers, and stays
        judge = _Judge(camera, login, newer)

        def visit() -> None:
            for service in (judge.media, judge.media2, judge.ptz, judge.imaging, judge.events):
                service()
            judge.device()
            judge.session.close()

        await asyncio.to_thread(visit)
        assert judge.seen.operations == set(camera._operations)
        assert not camera.events.points
