"""The set-up page finds a camera without ONVIF by the makers' paths, and gives it a login once."""

import json

import pytest

from agent.cameras.discovery import is_beside
from agent.cameras.port import Login
from agent.core.clock import SystemClock
from agent.local.setup.without_onvif import WithoutOnvif
from agent.simulators.camera.digest import Credentials
from agent.simulators.camera.faults import Faults
from agent.simulators.camera.live_stream import LiveStream
from agent.simulators.camera.media import load_media
from agent.simulators.camera.rtsp_server import RtspServer
from tests.camera_zoo import CameraLoop
from tests.claimed_box import claimed_box, cookie_of
from tests.footage_maker import make_clip

RIGHT = {"username": "admin", "password": "geheim"}
HOST = "127.0.0.1"


class PlainCamera:
    """RTSP, and nothing else."""

    def __init__(self, media, username="admin"):
        clock, self.faults = SystemClock(), Faults()
        self.server = RtspServer(
            {
                name: LiveStream({"": media}, lambda: "", clock, self.faults)
                for name in ("main", "sub")
            },
            host=HOST,
            port=0,
            credentials=Credentials(username, RIGHT["password"]),
            clock=clock,
            faults=self.faults,
        )

    @property
    def address(self):
        return f"{HOST}:{self.server.port}"


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return load_media(make_clip(path, size_px=(160, 120), seconds=1))


@pytest.fixture
def box(tmp_path):
    with claimed_box(tmp_path) as box:
        yield box


@pytest.fixture
def order(box):
    cookie = cookie_of(box.take_over())
    csrf = box.csrf(cookie)

    def give(path, **fields):
        answer = box.send(path, cookie, csrf=csrf, **fields)
        return answer.status, json.loads(answer.body or b"{}")

    return give


def codes(verified):
    return [hint["code"] for hint in verified["hints"]]


def test_its_streams_are_found_and_a_password_is_tried_once(box, order, media):
    camera = PlainCamera(media)
    with CameraLoop([camera]):
        _, told = order("/setup/find/rtsp", address=camera.address)
        (found,) = told["found"]
        assert (found["address"], found["camera_id"]) == (camera.address, None)
        assert camera.server.logins_seen == 0  # a stranger's login is nobody's business
        assert order("/setup/accept", epr=found["epr"], camera_id="yard-2", name="")[0] == 409

        for _ in range(2):
            wrong = RIGHT | {"password": "wrong"}
            _, said = order("/setup/verify", epr=found["epr"], **wrong)
            assert (said["is_in"], codes(said)) == (False, ["camera.wrong_password"])
            assert camera.server.logins_seen == 1

        _, said = order("/setup/verify", epr=found["epr"], **RIGHT)
        assert said["is_in"]
        assert [(s["role"], s["encoding"]) for s in said["streams"]] == [
            ("main", "H264"),
            ("sub", "H264"),
        ]
        accepted = order("/setup/accept", epr=found["epr"], camera_id="yard-2", name="Yard")
        assert accepted == (200, {})
    there = box.config.settings.camera("yard-2")
    base = f"rtsp://{camera.address}/"
    assert there.main_url.startswith(base)
    assert there.main_url.endswith("main")
    assert there.sub_url.endswith("sub")
    assert (there.username, there.password, there.onvif_url) == (*RIGHT.values(), "")
    tried = [one.outcome for one in box.entries() if one.op == "page.camera"]
    assert tried == ["failed", "failed", "done"]
    assert RIGHT["password"] not in json.dumps([repr(one) for one in box.entries()])


def test_one_that_is_open_to_all_needs_no_login(order, media):
    camera = PlainCamera(media, username="")
    with CameraLoop([camera]):
        _, told = order("/setup/find/rtsp", address=camera.address)
        _, said = order("/setup/verify", epr=told["found"][0]["epr"], username="", password="")
    assert said["is_in"]
    assert camera.server.logins_seen == 0


@pytest.mark.parametrize(
    "address", ["", "8.8.8.8", "169.254.169.254:80", "localhost", "[::1]", "127.0.0.1:x", "rtsp:"]
)
def test_only_the_boxs_own_networks_are_spoken_to(order, address):
    assert order("/setup/find/rtsp", address=address) == (409, {"error": "setup.not_beside"})


def test_the_box_itself_is_not_beside_it():
    assert not is_beside(HOST)
    assert is_beside(HOST, (HOST,))


def test_nobody_there_or_something_else_is_said(order, unused_tcp_port, media):
    address = f"{HOST}:{unused_tcp_port}"
    assert order("/setup/find/rtsp", address=address) == (409, {"error": "setup.no_rtsp"})
    camera = PlainCamera(media)
    camera.faults.status, camera.faults.status_of = 404, "DESCRIBE"
    with CameraLoop([camera]):
        told = order("/setup/find/rtsp", address=camera.address)
    assert told == (409, {"error": "setup.no_rtsp"})


def test_what_a_camera_thought_of_a_login_outlives_another_search(media):
    camera, there = PlainCamera(media), WithoutOnvif(SystemClock(), (HOST,))
    with CameraLoop([camera]):
        for _ in range(2):
            _, found = there.find(camera.address)
            assert not there.look(found, Login("admin", "wrong")).is_in
    assert camera.server.logins_seen == 1
