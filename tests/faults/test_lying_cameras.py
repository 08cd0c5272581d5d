"""Cameras that answer wrongly, list too much or have moved away: what can be done is still done."""

import asyncio
import contextlib
import socket

import pytest

from agent.app.camera_search import CameraSearch
from agent.cameras import inputs_outputs
from agent.cameras.camera_states import CameraStates, Turn
from agent.cameras.event_feed import EventFeed
from agent.cameras.gate import CameraGate
from agent.cameras.line import OnvifLine
from agent.cameras.memory import load
from agent.cameras.port import CameraBadResponse, CameraFailure, CameraNotSupported, Place
from agent.cameras.ptz_head import PtzHead
from agent.cameras.ptz_sectors import Sectors
from agent.core.clock import SystemClock
from agent.simulators.camera.onvif_discovery import GROUP
from agent.simulators.camera.onvif_events import MOTION
from tests.onvif_box import Deskwork, make_desk, settings_of
from tests.simulated_onvif import LOGIN, control_of, eventually, running_camera

_CLOCK = SystemClock()


@contextlib.asynccontextmanager
async def _desk(device, folder, port, settings=None):
    desk = make_desk(folder, _CLOCK, port, settings or settings_of(device))
    running = asyncio.create_task(Deskwork(desk, _CLOCK).run())
    try:
        yield desk
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_a_fault_is_a_fault_whatever_the_http_status_says(status):
    async with running_camera() as device:
        device.faults.fault_status = status
        control = control_of(device)
        with pytest.raises(CameraBadResponse, match="bad day"):
            await asyncio.to_thread(control.facts)
        device.faults.fault_status = 0
        assert (await asyncio.to_thread(control.facts)).serial
        control.close()


async def test_attributes_without_quotes_are_read_or_refused_and_stop_nothing_else():
    async with running_camera() as device:
        gate = CameraGate(lambda: control_of(device), _CLOCK)
        await gate.facts()
        device.faults.unquoted_attribute = True
        with contextlib.suppress(CameraFailure):
            streams = await gate.streams()
            assert streams.main_url == device.config.rtsp_main_url
        await gate.move(0.5, 0.0, 0.0, 30.0)
        await gate.stop()
        assert not device.motor.is_moving
        device.faults.unquoted_attribute = False
        assert (await gate.streams()).main_url == device.config.rtsp_main_url
        await gate.close()


@pytest.mark.parametrize("only_by", ["device", "device-io"])
async def test_relays_are_found_by_whichever_service_has_them(only_by):
    async with running_camera() as device:
        device.faults.relays_only_by = only_by

        def switch() -> list[str]:
            line = OnvifLine(device.url, LOGIN, _CLOCK)
            inputs_outputs.set_relay(line, "relay-1", active=True)
            tokens = [relay.token for relay in inputs_outputs.relays(line)]
            line.close()
            return tokens

        assert await asyncio.to_thread(switch) == ["relay-1", "relay-2"]
        assert device.system.board.active["relay-1"]


async def test_three_hundred_presets_are_listed_gone_to_and_kept_in_the_picture(
    tmp_path, unused_tcp_port
):
    async with running_camera() as device:
        device.faults.presets = 300
        control = control_of(device)
        head = PtzHead(control, Sectors())
        assert len(await asyncio.to_thread(head.presets)) == 300
        assert await asyncio.to_thread(head.goto_preset, "299")
        control.close()
        async with _desk(device, tmp_path, unused_tcp_port) as desk:
            await eventually(lambda: (f := desk.facts("gate")) and f.device)
            await eventually(lambda: "Presets[300]/name" in desk.kept_settings("gate"))
            assert desk.facts("gate").drift == ()


async def test_ranges_without_width_are_no_ranges():
    async with running_camera() as device:
        device.faults.min_is_max = True
        control = control_of(device)
        head = PtzHead(control, Sectors())
        facts = await asyncio.to_thread(head.facts)
        assert (facts.pan, facts.tilt, facts.zoom) == (None, None, None)
        with pytest.raises(CameraNotSupported):
            await asyncio.to_thread(head.goto, Place(0.1, 0.1))
        await asyncio.to_thread(control.move, 0.5, 0.0, 0.0, 5.0)  # speeds need no range
        await asyncio.to_thread(control.stop)
        assert not device.motor.is_moving
        control.close()


async def test_in_a_storm_of_events_calls_are_answered_and_nothing_grows():
    async with running_camera() as device:
        device.faults.storm_per_s = 100.0
        heard = []
        feed = EventFeed(OnvifLine(device.url, LOGIN, _CLOCK), _CLOCK, heard.extend, pull_s=1.0)
        feed.start()
        await eventually(lambda: len(heard) > 100)
        control = control_of(device)
        assert (await asyncio.to_thread(control.facts)).serial
        control.close()
        await asyncio.to_thread(feed.stop, 20.0)
        assert not device.events.points


async def test_motion_whose_end_is_never_told_ends_by_time():
    async with running_camera() as device:
        device.faults.never_ends = True
        heard, states = [], CameraStates()
        feed = EventFeed(OnvifLine(device.url, LOGIN, _CLOCK), _CLOCK, heard.extend, pull_s=1.0)
        feed.start()
        await eventually(lambda: feed.status.is_live)
        rule = "tns1:RuleEngine/FieldDetector/ObjectsInside"
        device.fire(MOTION, {"Source": "0"}, {"IsMotion": "true"})
        device.fire(MOTION, {"Source": "0"}, {"IsMotion": "false"})
        device.fire(rule, {"Rule": "yard"}, {"IsInside": "true"})
        await eventually(lambda: len(heard) >= 2)
        await asyncio.to_thread(feed.stop, 20.0)
        hits = [hit for message in heard if (hit := states.take(message, 0.0)) is not None]
        assert [hit.turn for hit in hits] == [Turn.BEGAN]
        ended = [hit for hit in states.tick(3600.0) if hit.turn is Turn.ENDED]
        assert [hit.reason for hit in ended] == ["timed-out"]
        assert not any(("IsMotion", "false") in message.data for message in heard)


async def test_a_camera_at_another_ip_address_is_found_again_and_used(
    tmp_path, unused_tcp_port, monkeypatch
):
    # Loopback has no MAC addresses, which together with the realm outweigh a new endpoint id.
    monkeypatch.setattr("agent.cameras.recognition.mac_of", lambda _: "02005e000001")
    async with (
        running_camera(discovery_port=unused_tcp_port) as device,
        _desk(device, tmp_path, unused_tcp_port) as desk,
    ):
        await eventually(lambda: (ears := desk.ears("gate")) and ears.status.is_live)
        device.reboot(0.5, host="127.0.0.2", new_epr=True)
        # "found again within 60 s": the bar itself is the patience here
        await eventually(lambda: "127.0.0.2" in load(tmp_path, "gate").url, within_s=60)
        await eventually(lambda: (ears := desk.ears("gate")) and ears.status.is_live)
        assert desk.facts("gate").candidates == ()
        await desk.gate("gate").move(0.1, 0.0, 0.0, 1.0)


async def test_a_camera_that_says_goodbye_is_asked_at_once(tmp_path, unused_tcp_port):
    async with (
        running_camera(discovery_port=unused_tcp_port) as device,
        _desk(device, tmp_path, unused_tcp_port) as desk,
    ):
        await eventually(lambda: load(tmp_path, "gate").identity)
        calls = device.calls.count("GetDeviceInformation")
        device._discovery.bye()  # and stays, all the same
        await eventually(lambda: device.calls.count("GetDeviceInformation") > calls)
        assert desk.facts("gate").code is None


async def test_one_that_may_be_the_camera_is_a_candidate_and_is_sent_no_secret(
    tmp_path, unused_tcp_port
):
    async with (
        running_camera(discovery_port=unused_tcp_port) as device,
        _desk(device, tmp_path, unused_tcp_port),
    ):
        await eventually(lambda: load(tmp_path, "gate").identity)
        settings = settings_of(device)
    # The same MAC, which cheap boards share, and nothing else that could be compared unasked.
    async with (
        running_camera(
            discovery_port=unused_tcp_port, name="Another", serial="SIM-0009"
        ) as stranger,
        _desk(stranger, tmp_path, unused_tcp_port, settings) as desk,
    ):
        await eventually(lambda: (f := desk.facts("gate")) and f.candidates)
        assert desk.facts("gate").candidates == (stranger.url,)
        assert desk.facts("gate").device is None
        assert not stranger.calls


async def test_a_mac_that_two_live_devices_have_is_no_evidence_and_is_told(
    tmp_path, unused_tcp_port
):
    async with (
        running_camera(discovery_port=unused_tcp_port) as device,
        _desk(device, tmp_path, unused_tcp_port),
    ):
        await eventually(lambda: load(tmp_path, "gate").identity)
        settings = settings_of(device)
    # MAC and model agree, which else would do; but two have them at once.
    port = {"discovery_port": unused_tcp_port}
    async with (
        running_camera(serial="SIM-0008", **port) as one,
        running_camera(serial="SIM-0009", **port) as other,
        _desk(one, tmp_path, unused_tcp_port, settings) as desk,
    ):
        urls = {one.url, other.url}
        await eventually(lambda: (f := desk.facts("gate")) and set(f.candidates) == urls)
        assert one.logins_seen + other.logins_seen == 0
        assert desk.facts("gate").twins
        assert desk.facts("gate").device is None


async def test_a_hello_alone_finds_the_camera_that_moved(tmp_path, unused_tcp_port, monkeypatch):
    def no_answer(*_, **__):
        return ()

    for probe in ("probe", "probe_hosts"):  # a switch keeps the questions from it
        monkeypatch.setattr(f"agent.app.camera_search.discovery.{probe}", no_answer)
    async with (
        running_camera(discovery_port=unused_tcp_port) as device,
        _desk(device, tmp_path, unused_tcp_port) as desk,
    ):
        await eventually(lambda: (ears := desk.ears("gate")) and ears.status.is_live)
        before = device.url
        device.reboot(0.5, moves=True)
        await eventually(lambda: device.url != before)
        await eventually(lambda: load(tmp_path, "gate").url == device.url, within_s=60)
        await eventually(lambda: (ears := desk.ears("gate")) and ears.status.is_live)


async def test_the_box_asks_for_cameras_and_answers_no_such_question(unused_tcp_port):
    search = CameraSearch(_CLOCK, interfaces=lambda: ("127.0.0.1",), port=unused_tcp_port)
    await search.open()
    where = (GROUP, unused_tcp_port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        stranger.bind(("127.0.0.1", 0))
        stranger.setsockopt(
            socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1")
        )
        body = "<d:Probe/>"
        stranger.sendto(_announced("Probe", body), where)
        who = "<a:EndpointReference><a:Address>urn:uuid:1</a:Address></a:EndpointReference>"
        told = f"<d:Hello>{who}<d:XAddrs>http://127.0.0.1/</d:XAddrs></d:Hello>"
        stranger.sendto(_announced("Hello", told), where)
        await eventually(search.news.is_set)  # so the question before it was heard as well
        with pytest.raises(BlockingIOError):
            stranger.recv(4096)
    search.close()


def _announced(name: str, body: str) -> bytes:
    spaces = (
        'xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
        'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
        'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"'
    )
    action = f"http://schemas.xmlsoap.org/ws/2005/04/discovery/{name}"
    head = f"<s:Header><a:Action>{action}</a:Action></s:Header>"
    return f"<s:Envelope {spaces}>{head}<s:Body>{body}</s:Body></s:Envelope>".encode()
