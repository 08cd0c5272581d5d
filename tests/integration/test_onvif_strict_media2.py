"""Media 2, pushed events and event properties of the simulated camera, read strictly by zeep."""

import asyncio
import importlib.util
from pathlib import Path

import pytest
import requests
import zeep
import zeep.wsa
from requests.auth import HTTPDigestAuth

from tests import foreign
from tests.simulated_onvif import PASSWORD, USERNAME, running_camera

_MEDIA2 = "{http://www.onvif.org/ver20/media/wsdl}Media2Binding"
_EVENTS = "http://www.onvif.org/ver10/events/wsdl"
_WSDL = Path(importlib.util.find_spec("onvif").origin).parents[1] / "wsdl"


@pytest.fixture
async def camera():
    async with running_camera(media2=True) as device:
        device.faults.sends_audio = True
        yield device


def _client(wsdl: Path, *plugins: object) -> zeep.Client:
    session = requests.Session()
    session.trust_env = False
    session.auth = HTTPDigestAuth(USERNAME, PASSWORD)
    return zeep.Client(
        str(wsdl),
        transport=zeep.Transport(session=session, operation_timeout=10),
        plugins=list(plugins),
        settings=zeep.Settings(strict=True),
    )


async def test_strict_zeep_reads_every_answer_of_media_2(request, camera):
    wsdl = await asyncio.to_thread(foreign.media2_wsdl, request)

    def visit() -> None:
        client = _client(wsdl)
        media = client.create_service(_MEDIA2, camera.url.replace("device_", "media2_"))
        main = next(p for p in media.GetProfiles(Type=["All"]) if p.token == "main")
        assert main.Configurations.VideoEncoder.GovLength == 30
        assert main.Configurations.AudioEncoder.Encoding == "PCMU"
        assert main.Configurations.PTZ.NodeToken == "ptz-node"
        assert media.GetStreamUri(Protocol="RTSP", ProfileToken="main").startswith("rtsp://")
        assert media.GetSnapshotUri(ProfileToken="main").endswith(".jpg")
        (encoder,) = media.GetVideoEncoderConfigurations(ConfigurationToken="encoder-sub")
        encoder.GovLength = 12
        media.SetVideoEncoderConfiguration(Configuration=encoder)
        assert {e.token: e.GovLength for e in media.GetVideoEncoderConfigurations()} == {
            "encoder-main": 30,
            "encoder-sub": 12,
        }
        osd = media.GetOSDs()[0]
        osd.TextString.PlainText = "Pole 7"
        media.SetOSD(OSD=osd)
        osd.token = ""
        token = media.CreateOSD(OSD=osd)
        assert [o.TextString.PlainText for o in media.GetOSDs()] == ["Pole 7", "Pole 7"]
        media.DeleteOSD(OSDToken=token)
        corners = [{"x": x, "y": y} for x, y in ((-0.5, 0.5), (0.5, 0.5), (0.5, -0.5))]
        mask = {
            "token": "",
            "ConfigurationToken": "source",
            "Polygon": {"Point": corners},
            "Type": "Color",
            "Enabled": True,
        }
        token = media.CreateMask(Mask=mask)
        assert [len(m.Polygon.Point) for m in media.GetMasks()] == [3]
        media.DeleteMask(Token=token)
        assert not media.GetMasks()
        client.transport.session.close()

    await asyncio.to_thread(visit)


async def test_strict_zeep_reads_the_event_properties_and_subscribes_to_be_told(camera):
    def visit() -> None:
        client = _client(_WSDL / "events.wsdl", zeep.wsa.WsAddressingPlugin())
        address = camera.url.replace("device_", "event_")
        events = client.create_service(f"{{{_EVENTS}}}EventBinding", address)
        told = events.GetEventProperties()
        assert told.FixedTopicSet is True
        assert any("DigitalInput" in str(found.tag) for found in _below(told.TopicSet))
        producer = client.create_service(f"{{{_EVENTS}}}NotificationProducerBinding", address)
        made = producer.Subscribe(
            ConsumerReference={"Address": {"_value_1": "http://127.0.0.1:9/consumer"}},
            InitialTerminationTime="PT60S",
        )
        manager = client.create_service(
            f"{{{_EVENTS}}}SubscriptionManagerBinding",
            made.SubscriptionReference.Address._value_1,
        )
        assert manager.Renew(TerminationTime="PT60S").TerminationTime is not None
        manager.Unsubscribe()
        client.transport.session.close()

    await asyncio.to_thread(visit)
    assert not camera.events.points


def _below(topics: object) -> list:
    return [found for top in topics._value_1 for found in top.iter()]
