"""Who asks for a camera's login over RTSP gets it only as the camera that was known there."""

import contextlib
from dataclasses import replace

import pytest

from agent.app.stream_door import PATIENCE_S, VAIN_ASKS, Peer, StreamDoor
from agent.app.streams import Streams
from agent.core.errors import CameraError
from agent.core.shown import Shown
from agent.ingest.admission import Asking
from agent.ingest.source import StreamAddress
from agent.messages.worker import CameraState, Recognised, Word
from agent.settings.model import CameraSettings
from agent.simulators.camera.digest import Credentials
from agent.simulators.camera.media import load_media
from tests.camera_zoo import CLOCK, CameraLoop, Visitor, ZooCamera, eventually, visits
from tests.footage_maker import make_clip
from tests.simulated_onvif import ShiftedClock

OURS = Shown(mac="02005e000001", realm="Login to S-77")
PLAIN = CameraSettings(camera_id="gate", main_url="rtsp://10.0.0.7/main")
BY_ONVIF = CameraSettings(camera_id="gate", onvif_url="http://10.0.0.7/onvif/device_service")
HOST = "10.0.0.7"


def door_to(folder, camera=PLAIN, shown=OURS, *, clock=CLOCK, in_clear=False):
    """Return a door of a camera that has shown `shown` before."""
    folder.mkdir(exist_ok=True)
    door = StreamDoor(camera, folder, clock)
    door.admit(Asking(HOST, shown, in_clear))  # nobody was known: a technician gave the address
    door.opened(Asking(HOST, shown, in_clear))
    return StreamDoor(camera, folder, clock)  # as after a restart


def is_let_in(door, shown, *, in_clear=False):
    try:
        door.admit(Asking(HOST, shown, in_clear))
    except CameraError:
        return False
    return True


@pytest.mark.parametrize(
    ("seen", "is_in"),
    [
        (OURS, True),
        (Shown(mac="02005e000077", realm=OURS.realm), False),
        (Shown(mac=OURS.mac, realm="another"), False),  # who only copies the MAC
        (Shown(realm=OURS.realm), False),  # nor is the MAC to be seen any more
        (Shown(), False),
    ],
)
def test_two_keys_must_agree(tmp_path, seen, is_in):
    assert is_let_in(door_to(tmp_path), seen) is is_in


def test_a_camera_that_shows_a_realm_alone_is_taken_by_that(tmp_path):
    door = door_to(tmp_path, shown=Shown(realm="camera"))
    assert is_let_in(door, Shown(realm="camera"))
    assert not is_let_in(door, Shown(realm="another"))


def test_the_password_goes_in_clear_only_where_that_camera_always_took_it_so(tmp_path):
    assert not is_let_in(door_to(tmp_path / "digest"), OURS, in_clear=True)
    basic = door_to(tmp_path / "basic", in_clear=True)
    assert is_let_in(basic, OURS, in_clear=True)
    assert not is_let_in(basic, replace_mac(OURS), in_clear=True)


def replace_mac(shown):
    return Shown(mac="02005e000077", realm=shown.realm)


def test_another_address_in_the_settings_is_a_technician_s_word(tmp_path):
    door_to(tmp_path)
    moved = CameraSettings(camera_id="gate", main_url="rtsp://10.0.0.9/main")
    assert is_let_in(StreamDoor(moved, tmp_path, CLOCK), Shown(realm="another"))


@pytest.mark.parametrize(
    ("word", "seen", "is_in"),
    [
        (Word.OURS, Shown(realm="after an update"), True),
        (Word.STRANGER, Shown(realm="camera"), False),
        (Word.UNKNOWN, Shown(realm="camera"), True),
        (Word.UNKNOWN, Shown(realm="another"), False),
    ],
)
def test_where_keys_are_few_the_core_s_word_decides(tmp_path, word, seen, is_in):
    door = door_to(tmp_path, BY_ONVIF, Shown(realm="camera"))
    door.ask = lambda host: door.told(Recognised(host=host, word=word))
    assert is_let_in(door, seen) is is_in


def test_a_core_that_is_away_keeps_the_camera_from_recording_for_a_moment_only(tmp_path):
    clock = ShiftedClock()
    door = door_to(tmp_path, BY_ONVIF, Shown(realm="camera"), clock=clock)
    door.ask = lambda _: None
    for _ in range(VAIN_ASKS - 1):
        assert not is_let_in(door, Shown(realm="camera"))
        clock.shift_s += PATIENCE_S / 3
    assert is_let_in(door, Shown(realm="camera"))
    assert not is_let_in(door, Shown(realm="another"))


@pytest.mark.parametrize("later_s", [PATIENCE_S + 1.0, 3600.0])
def test_a_question_lost_as_ours_went_lets_no_stranger_in_at_the_next_slow_answer(
    tmp_path, later_s
):
    """Its video ended after its ONVIF: two streams asked in vain, and nobody was there to ask."""
    clock = ShiftedClock()
    door = door_to(tmp_path, BY_ONVIF, Shown(realm="of the make"), clock=clock)
    door.ask = lambda _: None
    for _ in ("main", "sub"):
        assert not is_let_in(door, Shown(realm="of the make"))
    clock.shift_s = later_s
    for _ in ("main", "sub"):
        assert not is_let_in(door, Shown(realm="of the make"))
    door.told(Recognised(host=HOST, word=Word.STRANGER))  # late, but there
    assert not is_let_in(door, Shown(realm="of the make"))


def test_a_technician_s_word_lets_the_new_camera_in(tmp_path):
    door = door_to(tmp_path)
    assert not is_let_in(door, replace_mac(OURS))
    door.told(Recognised(host="", word=Word.ACCEPTED))
    assert is_let_in(StreamDoor(PLAIN, tmp_path, CLOCK), replace_mac(OURS))  # started anew
    assert is_let_in(door, replace_mac(OURS))
    door.opened(Asking(HOST, replace_mac(OURS)))
    assert not is_let_in(door, OURS)


def test_streams_from_two_places_are_known_apart(tmp_path):
    told = {"camera_id": "gate", "main_url": "rtsp://10.0.0.7/main"}
    one = Streams(CameraSettings(**told, sub_url="rtsp://10.0.0.7/sub"), tmp_path, CLOCK)
    assert one.main().door is one.sub().door
    two = Streams(CameraSettings(**told, sub_url="rtsp://10.0.0.8/sub"), tmp_path, CLOCK)
    for start in range(2):
        two.main().door.admit(Asking(HOST, OURS))
        two.main().door.opened(Asking(HOST, OURS))
        assert is_let_in(two.sub().door, replace_mac(OURS)), start
        two.sub().door.opened(Asking("10.0.0.8", replace_mac(OURS)))
    assert not is_let_in(two.sub().door, OURS)
    assert len(two.doors) == 2


def test_a_damaged_record_is_as_none(tmp_path):
    door_to(tmp_path)
    (tmp_path / "peer.json").write_bytes(b"{")
    assert StreamDoor(PLAIN, tmp_path, CLOCK)._peer is None
    assert Peer(given="x").shown == Shown()


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return {"": load_media(make_clip(path, size_px=(160, 120), seconds=1))}


class Guarded(Visitor):
    """A session whose login waits for the door's word."""

    def __init__(self, camera, folder, *, audio):
        super().__init__(camera, folder)
        self.door = StreamDoor(CameraSettings(camera_id="gate", main_url=camera.url), folder, CLOCK)
        self.audio = audio

    def _address(self):
        address = StreamAddress(self.camera.url, *self.login)
        return replace(address, audio=self.audio, door=self.door)


@pytest.mark.parametrize("audio", [False, True], ids=["own-reader", "libav-reader"])
@pytest.mark.parametrize("in_clear", [False, True], ids=["digest", "basic"])
def test_a_stranger_at_the_address_sees_no_login(media, tmp_path, audio, in_clear):
    camera = ZooCamera(media)
    visitor = Guarded(camera, tmp_path / "camera", audio=audio)

    def online():
        told_s = CLOCK.monotonic_s()
        eventually(lambda: visitor.frames_since(told_s, 3), lambda: visitor.session.status)

    def becomes(**changes):
        camera.server._credentials = Credentials("admin", "geheim", **changes)
        camera.faults.disconnect = True

    with CameraLoop([camera]), visits([visitor]):
        online()
        realm = "another" if not in_clear else Credentials().realm
        before = camera.server.logins_seen
        becomes(realm=realm, in_clear=in_clear)
        eventually(
            lambda: visitor.session.status.code == "camera.stranger", lambda: visitor.session.status
        )
        connects = visitor.session.status.connects_total
        eventually(
            lambda: visitor.session.status.connects_total > connects + 1,
            lambda: visitor.session.status,
        )
        assert camera.server.logins_seen == before
        assert visitor.session.status.state is CameraState.LOST
        visitor.door.told(Recognised(host="", word=Word.ACCEPTED))
        visitor.session.restart()
        online()
        assert camera.server.logins_seen > before
    with contextlib.suppress(OSError):
        visitor.tape.index.close()
