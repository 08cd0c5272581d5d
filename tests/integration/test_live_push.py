"""A camera's packets reach a relay as they are, from the kept GOP on, and hold nobody up."""

import hashlib
import re
import socket
import ssl
import threading
from datetime import timedelta

import av
import pytest

from agent.app.sub_sink import SubSink
from agent.core.clock import SystemClock
from agent.messages.push import StartPush
from agent.push.live_tap import LiveTap
from agent.push.pushes import Pushes
from agent.push.rtsp_login import Login
from agent.simulators.camera.media import load_media
from tests.camera_thread import CameraThread, Notes, Watcher, eventually
from tests.certificates import write_certificate
from tests.footage_maker import make_clip
from tests.relay_thread import RelayThread

CLOCK = SystemClock()
TOKEN = "short-lived"


class Live:
    """A camera, its session with a tap, and the pushes of its worker."""

    def __init__(self, url):
        self.told, self.tap, self.notes = [], LiveTap(), Notes()
        self.is_core_there = True
        self.pushes = Pushes(
            {"main": self.tap}, self.told.append, lambda: self.is_core_there, CLOCK
        )
        self.watcher = Watcher(url, SubSink(self.notes, self.tap))

    def start(self, url, lasts_s=60.0, **fields):
        until_s = CLOCK.monotonic_s() + lasts_s
        fields = {"push_id": "p", "stream": "main", "token": TOKEN, **fields}
        self.pushes.start(StartPush(url=url, until_mono_s=until_s, **fields))

    @property
    def has_ended(self):
        return any(state.ended for state in self.told)


@pytest.fixture(scope="module")
def media(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    clip = make_clip(
        folder / "clip.mp4",
        seconds=4,
        size_px=(320, 240),
        codec=getattr(request, "param", "libx264"),
    )
    return load_media(clip)


@pytest.fixture
def live(media):
    with CameraThread(media) as camera:
        made = Live(camera.url)
        with made.watcher:
            eventually(lambda: made.notes.runs and len(made.notes.runs[-1].times) > 5)
            yield made
            made.pushes.close()


@pytest.fixture
def relay():
    with RelayThread() as made:
        yield made


def no_packet_follows(relay):
    """Let what is on the way arrive, then see that nothing comes while the camera goes on."""
    before = relay.packets()
    threading.Event().wait(0.7)
    return relay.packets() == before


@pytest.mark.parametrize("media", ["libx264", "libx265"], indirect=True)
def test_what_is_pushed_can_be_decoded_and_began_with_the_kept_gop(live, relay):
    before_s = CLOCK.monotonic_s()
    live.start(relay.url())
    eventually(lambda: relay.publication() and relay.publication().first_frame_mono_s)
    print("first frame", round(relay.publication().first_frame_mono_s - before_s, 3), "s")  # noqa: T201
    options = {"rtsp_transport": "tcp"}
    with av.open(relay.url(), options=options, timeout=(20, 20)) as player:
        frames = [next(player.decode(video=0)) for _ in range(10)]
    assert {(frame.width, frame.height) for frame in frames} == {(320, 240)}


def test_a_relay_that_wants_the_token_gets_it_and_one_that_refuses_gets_no_media(live, relay):
    relay.admits = lambda token: token == TOKEN
    live.start(relay.url())
    eventually(lambda: relay.packets() > 5)
    live.start(relay.url("other"), push_id="q", token="wrong")
    eventually(lambda: any(s.push_id == "q" and s.code == "push.refused" for s in live.told))
    assert relay.tokens[:2] == ["", TOKEN]
    assert relay.packets("other") == 0


@pytest.mark.parametrize("way", ["stop", "deadline", "core"])
def test_after_the_end_is_told_no_packet_follows(live, relay, way):
    live.start(relay.url(), lasts_s=3.0 if way == "deadline" else 60.0)
    eventually(lambda: relay.packets() > 5)
    if way == "stop":
        live.pushes.stop("p")
    elif way == "core":
        live.is_core_there = False
    eventually(lambda: live.has_ended)
    eventually(lambda: no_packet_follows(relay))
    assert live.told[-1].ended
    assert live.told[-1].bytes_total > 0


def test_a_wall_clock_that_jumps_prolongs_nothing(live, relay):
    jumpy = Jumpy()
    pushes = Pushes({"main": live.tap}, live.told.append, lambda: True, jumpy)
    ends_s = CLOCK.monotonic_s() + 3.0
    pushes.start(
        StartPush(push_id="p", stream="main", url=relay.url(), token=TOKEN, until_mono_s=ends_s)
    )
    eventually(lambda: relay.packets() > 5)
    jumpy.jump = timedelta(hours=-2)
    eventually(lambda: live.has_ended)  # not two hours later
    eventually(lambda: no_packet_follows(relay))
    late_s = relay.publication().last_packet_mono_s - ends_s
    print("last packet after the end, s:", round(late_s, 2))  # noqa: T201


class Jumpy(SystemClock):
    jump = timedelta()

    def utc_now(self):
        return super().utc_now() + self.jump


def test_a_relay_that_hangs_or_goes_holds_up_nobody(live, relay):
    live.start(relay.url())
    eventually(lambda: relay.packets() > 5)
    relay.hang()
    count = len(live.notes.runs[-1].times)
    eventually(lambda: len(live.notes.runs[-1].times) > count + 20)
    relay.drop()
    eventually(lambda: relay.relay.announced_total > 1)
    eventually(lambda: relay.packets() > 5)
    assert len(live.notes.runs) == 1


def test_the_end_is_told_although_the_relay_hangs(live, relay):
    live.start(relay.url())
    eventually(lambda: relay.packets() > 5)
    relay.hang()
    live.pushes.stop("p")
    eventually(lambda: live.has_ended)


def test_the_limit_is_kept_by_leaving_out_whole_gops(live, relay):
    live.start(relay.url(), max_kbps=1)
    eventually(lambda: live.told and live.told[-1].packets_total)
    eventually(lambda: len(live.told) > 5)
    assert live.told[-1].packets_total == 1  # a key frame goes even so, and is paid for


def test_a_relay_that_answers_oddly_is_tried_again(live):
    with socket.create_server(("127.0.0.1", 0)) as odd:

        def answer():
            for said in (b"RTSP/1.0\r\n\r\n", b"\r\n\r\n", b"\xff" * 99):
                line, _ = odd.accept()
                with line:
                    line.recv(4096)
                    line.sendall(said)

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        live.start(f"rtsp://127.0.0.1:{odd.getsockname()[1]}/gate")
        eventually(lambda: not answering.is_alive())
        eventually(lambda: live.told and live.told[-1].code == "push.not_a_relay")
        assert not live.has_ended


@pytest.mark.parametrize("share", [0.9, 0.5])
def test_close_to_the_limit_what_arrives_is_never_a_tenth_above_it(live, relay, share):
    eventually(lambda: live.tap.kbps > 0)
    limit_kbps = round(live.tap.kbps * share)
    began_s = CLOCK.monotonic_s()
    live.start(relay.url(), max_kbps=limit_kbps)
    eventually(lambda: CLOCK.monotonic_s() - began_s > 10 and relay.packets() > 5)
    arrived, passed_s = relay.publication(), CLOCK.monotonic_s() - began_s
    kbps = arrived.bytes_total / 125 / passed_s
    print("limit", limit_kbps, "arrived", round(kbps), "kbit/s,", arrived.pictures_total)  # noqa: T201
    assert 0 < kbps <= limit_kbps * 1.1
    assert relay.relay.announced_total == 1


def test_a_relay_must_prove_who_it_is(live, tmp_path, monkeypatch):
    ca = write_certificate(tmp_path, "ca")
    write_certificate(tmp_path, "relay", ca)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "relay.pem", tmp_path / "relay.key")
    with RelayThread(tls) as relay:
        live.start(relay.url("stranger"), push_id="q")
        eventually(lambda: any(state.code == "push.untrusted" for state in live.told))
        assert relay.tokens == []
        live.pushes.stop("q")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        live.start(relay.url())
        eventually(lambda: relay.packets() > 30)
        live.pushes.close()


def test_a_private_authority_that_came_with_the_grant_vouches_for_the_relay(live, tmp_path):
    ca = write_certificate(tmp_path, "ca")
    write_certificate(tmp_path, "relay", ca)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "relay.pem", tmp_path / "relay.key")
    with RelayThread(tls) as relay:
        live.start(relay.url(), ca=(tmp_path / "ca.pem").read_text())
        eventually(lambda: relay.packets() > 5)
        for number, wrong in enumerate(("no certificate", (tmp_path / "relay.pem").read_text())):
            push_id = f"q{number}"
            live.start(relay.url(push_id), push_id=push_id, ca=wrong)
            eventually(lambda push_id=push_id: "push.untrusted" in codes_of(live, push_id))
            assert relay.packets(push_id) == 0
        live.pushes.close()


def codes_of(live, push_id):
    return {state.code for state in live.told if state.push_id == push_id}


def test_a_relay_that_asks_by_digest_is_answered_so(live):
    with RelayThread(digest_for=TOKEN) as relay:
        live.start(relay.url())
        eventually(lambda: relay.packets() > 5)
        live.start(relay.url("other"), push_id="q", token="wrong")
        eventually(lambda: "push.refused" in codes_of(live, "q"))
        assert relay.packets("other") == 0
        live.pushes.close()


def test_digest_is_as_the_rfc_computes_it():
    login = Login("Circle of Life")
    asked = 'Digest realm="a@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="n"'
    assert login.challenged(['Basic realm="b"', asked])
    told = dict(re.findall(r'(\w+)="?([^",]*)"?', login.header("ANNOUNCE", "rtsp://r/a")))

    def sha(text):
        return hashlib.sha256(text.encode()).hexdigest()

    secret = sha("grant:a@example.org:Circle of Life")
    action = sha("ANNOUNCE:rtsp://r/a")
    expected = sha(f"{secret}:n:00000001:{told['cnonce']}:auth:{action}")
    assert (told["response"], told["nc"], told["qop"]) == (expected, "00000001", "auth")
    assert not login.challenged([asked])  # the same again means that the token is wrong


def test_the_same_order_again_only_changes_its_end(live, relay):
    live.start(relay.url())
    eventually(lambda: relay.packets() > 5)
    live.start(relay.url(), lasts_s=0.0)
    eventually(lambda: live.has_ended)
    assert relay.relay.announced_total == 1
