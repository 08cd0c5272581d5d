"""Whatever a camera answers, to whatever is asked: a typed error or an answer, soon, in bounds."""

import contextlib
import http.server
import threading
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.cameras import care, imaging, inputs_outputs, media, overlays
from agent.cameras.bounded_http import Answer
from agent.cameras.camera_states import CameraStates
from agent.cameras.discovery import read_announcement
from agent.cameras.line import OnvifLine
from agent.cameras.notifications import read_notifications
from agent.cameras.port import CameraFailure, Login, Place
from agent.cameras.ptz_head import PtzHead
from agent.cameras.ptz_sectors import Sectors
from agent.cameras.pull_point import PullPoint, Reference
from agent.cameras.push_point import PushPoint
from agent.cameras.restore import restore
from agent.cameras.settings_picture import settings_picture
from agent.cameras.soap_answer import camera_time, fault_of, parse, problem_of, refuses_login
from agent.cameras.stream_warnings import stream_warnings
from agent.cameras.zeep_backend import ZeepCamera
from agent.core.clock import SystemClock
from agent.core.errors import CameraError
from agent.simulators.camera import onvif_answers, onvif_media_answers
from agent.simulators.camera.onvif_media_answers import Encoder

_S = "http://www.w3.org/2003/05/soap-envelope"
_CLOCK = SystemClock()
_ENCODER = Encoder("encoder-main", (1920, 1080), 15, 30)
_GOOD = [
    onvif_answers.envelope(body)
    for body in (
        onvif_answers.date_and_time(_CLOCK.utc_now(), "NTP", "UTC0"),
        onvif_answers.device_information("a", "b", "c"),
        onvif_answers.network_interfaces("02:00:5e:00:00:01"),
        onvif_answers.relays(("1",)),
        onvif_media_answers.profiles([("main", _ENCODER)], has_ptz=True, is_media2=False),
        onvif_media_answers.profiles([("main", _ENCODER)], has_ptz=True, is_media2=True),
        onvif_answers.fault("Sender", "NotAuthorized", "no"),
        onvif_answers.pulled(
            [
                onvif_answers.notification(
                    "tns1:Device/Trigger/DigitalInput",
                    {"InputToken": "1"},
                    {"LogicalState": "true"},
                    "Changed",
                    _CLOCK.utc_now(),
                )
            ],
            _CLOCK.utc_now(),
            _CLOCK.utc_now(),
        ),
    )
]
_BOMB = b"""<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>&b;</s:Body></s:Envelope>"""
_HOSTILE = [
    b"",
    b"\x00\xff\xfe" * 1000,
    b"<" * 300_000,
    b"<a>" * 50_000,
    b"<a " + b'x="1" ' * 50_000 + b"/>",
    _BOMB,
    f'<s:Envelope xmlns:s="{_S}"><s:Body/></s:Envelope>'.encode(),
    f'<s:Envelope xmlns:s="{_S}"><s:Body><x>{"y" * 3_900_000}</x></s:Body></s:Envelope>'.encode(),
    f'<s:Envelope xmlns:s="{_S}"><s:Body>{"<tt:a/>" * 190_000}</s:Body></s:Envelope>'.encode(),
    b"y" * 5_000_000,
]


@st.composite
def _damaged(draw) -> bytes:
    """A good answer with bytes changed, taken out, doubled or cut."""
    body = bytearray(draw(st.sampled_from(_GOOD)))
    for _ in range(draw(st.integers(1, 12))):
        at = draw(st.integers(0, max(0, len(body) - 1)))
        match draw(st.integers(0, 3)):
            case 0:
                body[at : at + 1] = draw(st.binary(min_size=1, max_size=3))
            case 1:
                del body[at : at + draw(st.integers(1, 60))]
            case 2:
                body[at:at] = body[at : at + draw(st.integers(1, 200))]
            case _:
                del body[max(at, 20) :]
    return bytes(body)


@settings(max_examples=150, deadline=None)
@given(st.one_of(_damaged(), st.binary(max_size=2000)), st.sampled_from([200, 400, 401, 500]))
def test_the_judges_of_answers_raise_typed_errors_only(content, status):
    answer = Answer(status, {"Date": "x"}, content)
    for judge in (fault_of, refuses_login, camera_time):
        with contextlib.suppress(CameraError):
            judge(answer)
    with contextlib.suppress(CameraError):
        problem_of(answer, has_spoken_soap=True)
        states = CameraStates()
        for message in read_notifications(parse(content)):
            states.take(message, 1.0)
        states.tick(1e9)
    assert isinstance(read_announcement(content, "127.0.0.1"), tuple)


_TRIANGLE = ((0.1, 0.1), (0.5, 0.1), (0.5, 0.4))


def _moved(line: OnvifLine, ask: Callable[[PtzHead, ZeepCamera], object]) -> object:
    control = ZeepCamera(line.link.device_url, Login(), _CLOCK, call_s=3.0)
    with contextlib.closing(control):
        return ask(PtzHead(control, Sectors()), control)


_OPERATIONS = {
    "identity": care.identity,
    "profiles": media.profiles,
    "snapshot": lambda line: media.snapshot(line, "main"),
    "stream": lambda line: media.stream_url(line, "main"),
    "relays": inputs_outputs.relays,
    "switch": lambda line: inputs_outputs.set_relay(line, "1", active=True),
    "settings": settings_picture,
    "clock": lambda line: line.link.measure_clock(),
    "set clock": lambda line: care.set_clock(line, _CLOCK),
    "password": lambda line: care.change_password(line, Login("a", "b"), "c", _CLOCK),
    "encoder": lambda line: media.set_stream(line, "main", media.EncoderWish(gop=15)),
    "warnings": stream_warnings,
    "texts": overlays.overlays,
    "set text": lambda line: overlays.set_text(line, "1", "words"),
    "add text": lambda line: overlays.add_text(line, "words"),
    "add mask": lambda line: overlays.add_mask(line, _TRIANGLE),
    "remove mask": lambda line: overlays.remove_mask(line, "1"),
    "imaging": lambda line: imaging.change(line, imaging.ImagingWish(ir_cut="off")),
    "focus": lambda line: imaging.focus(line, 0.5),
    "restore": lambda line: restore(line, {"OSDs[1]": "words", "Masks[1]": "0,0 1,0 1,1"}),
    "presets": lambda line: _moved(line, lambda head, _: head.presets()),
    "go to a preset": lambda line: _moved(line, lambda head, _: head.goto_preset("1")),
    "go to a place": lambda line: _moved(line, lambda head, _: head.goto(Place(0.1, 0.1))),
    "keep a preset": lambda line: _moved(line, lambda head, _: head.set_preset("1")),
    "auxiliary": lambda line: _moved(line, lambda head, _: head.auxiliary("Wiper", "On")),
    "facts": lambda line: _moved(line, lambda _, control: control.facts()),
    "move": lambda line: _moved(line, lambda _, control: control.move(0.1, 0.0, 0.0, 1.0)),
    "stop": lambda line: _moved(line, lambda _, control: control.stop()),
    "position": lambda line: _moved(line, lambda _, control: control.position()),
    "push": lambda line: PushPoint.open(line, _CLOCK).close(),
    "subscribe": lambda line: PullPoint.open(line, _CLOCK),
    "pull": lambda line: PullPoint(line, Reference(url=line.link.device_url), _CLOCK).pull(1.0),
}


@pytest.fixture(scope="module")
def liar():
    """A server that answers everything with `liar.body`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.send_response(server.status)
            self.send_header("Content-Length", str(len(server.body)))
            self.end_headers()
            try:
                self.wfile.write(server.body)
            except OSError:
                self.close_connection = True

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that hangs up is what is tried here."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.body, server.status = b"", 200
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def _ask(server, ask) -> None:
    url = f"http://127.0.0.1:{server.server_address[1]}/onvif/device_service"
    line = OnvifLine(url, Login(), _CLOCK, call_s=3.0)
    with contextlib.closing(line), contextlib.suppress(CameraFailure):
        ask(line)


@pytest.mark.parametrize("name", _OPERATIONS)
def test_ten_hostile_answers_to_each_operation_are_errors_in_bounded_memory(liar, name):
    liar.status = 200
    for body in _HOSTILE:
        liar.body = body
        tracemalloc.start()
        try:
            _ask(liar, _OPERATIONS[name])
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak_bytes < 40 * 1024 * 1024


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=_damaged(), name=st.sampled_from(sorted(_OPERATIONS)), status=st.sampled_from([200, 500])
)
def test_damaged_answers_to_any_operation_are_typed_errors_or_answers(liar, body, name, status):
    liar.body, liar.status = body, status
    _ask(liar, _OPERATIONS[name])
