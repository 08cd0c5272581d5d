"""The talk with a camera: logins, redirects, keep-alives, the end; by a camera of a few lines."""

import base64
import contextlib
import socket
import threading
from dataclasses import dataclass, field

import pytest

from agent.core.clock import SystemClock
from agent.core.errors import CameraError
from agent.ingest.readers import Readers
from agent.ingest.source import Pace, Patience, StreamAddress, open_source
from agent.ingest.wire import dialog
from agent.simulators.camera.media import load_media
from agent.simulators.camera.rtp import interleave
from tests.camera_thread import eventually
from tests.footage_maker import make_clip

CLOCK = SystemClock()
PATIENCE = Patience(10.0, 10.0)
BASIC = base64.b64encode(b"admin:geheim").decode()


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return load_media(make_clip(path, fps=10, seconds=1, size_px=(160, 120)))


@dataclass
class Talk:
    """What one camera was asked; `answer` makes what it says to a request, None for the usual."""

    media: object
    answer: object = lambda _method, _text: None
    asked: list = field(default_factory=list)
    session_s: int = 60

    def methods(self):
        return [text.partition(" ")[0] for text in self.asked]

    def usual(self, method, url):
        if method == "DESCRIBE":
            return f"Content-Base: {url}/\r\n", self.media.sdp(with_sets=True, sound=())
        if method == "SETUP":
            transport = "RTP/AVP/TCP;unicast;interleaved=0-1"
            session = f"Session: 47;timeout={self.session_s}\r\n"
            return f"Transport: {transport}\r\n{session}", ""
        if method == "OPTIONS":
            return "Public: DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN\r\n", ""
        return "", ""

    def serve(self, line, over):
        line.settimeout(0.05)
        waiting, seq, is_playing = b"", 0, False
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                more = line.recv(4096)
                if not more:
                    return
                waiting += more
            while b"\r\n\r\n" in waiting:
                head, _, waiting = waiting.partition(b"\r\n\r\n")
                line.sendall(self.said_to(head.decode()))
                is_playing |= head.startswith(b"PLAY")
            if is_playing:
                for picture in self.media.pictures:
                    payloads = picture.sets + picture.payloads
                    line.sendall(
                        interleave(
                            payloads, channel=0, first_seq=seq, timestamp_90k=seq * 900, ssrc=7
                        )
                    )
                    seq += len(payloads)

    def said_to(self, text):
        self.asked.append(text)
        method, url, _ = text.split("\r\n")[0].split(" ")
        cseq = next(line for line in text.split("\r\n") if line.startswith("CSeq:"))
        told = self.answer(method, text)
        status, (headers, body) = told or ("200 OK", self.usual(method, url))
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        return f"RTSP/1.0 {status}\r\n{cseq}\r\n{headers}{length}\r\n{body}".encode()


@contextlib.contextmanager
def camera(talk):
    """Serve one connection after the other; give the address."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)

        def serve():
            while not over.is_set():
                with contextlib.suppress(OSError):
                    line, _ = server.accept()
                    with line:
                        talk.serve(line, over)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"rtsp://127.0.0.1:{server.getsockname()[1]}/main"
        finally:
            over.set()
            thread.join()


def watch(url, username="", password="", frames=3):
    source = open_source(StreamAddress(url, username, password), PATIENCE, CLOCK)
    try:
        packets = source.packets()
        return [next(packets) for _ in range(frames)]
    finally:
        source.close()


def asks_for(*challenges, right):
    """Refuse whoever does not come with a login that `right` likes."""

    def answer(method, text):
        given = [line for line in text.split("\r\n") if line.startswith("Authorization: ")]
        if method == "OPTIONS" or (given and right(given[0].removeprefix("Authorization: "))):
            return None
        lines = "".join(f"WWW-Authenticate: {one}\r\n" for one in challenges)
        return "401 Unauthorized", (lines, "")

    return answer


def test_a_whole_talk_in_its_order_with_the_tracks_own_address(media):
    talk = Talk(media)
    with camera(talk) as url:
        packets = watch(url)
        assert packets[0].is_keyframe
        eventually(lambda: "TEARDOWN" in talk.methods(), "the end is told")
        assert talk.methods()[:4] == ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"]
        assert f"SETUP {url}/trackID=0 RTSP/1.0" in talk.asked[2]
        assert "Session: 47\r\n" in talk.asked[3] + "\r\n"


@pytest.mark.parametrize(
    ("challenge", "right"),
    [
        ('Basic realm="c"', lambda told: told == f"Basic {BASIC}"),
        ('Digest realm="c", nonce="n"', lambda told: 'nonce="n"' in told and "qop" not in told),
        (
            'Digest realm="c", nonce="n", algorithm=SHA-256, qop="auth"',
            lambda told: "algorithm=SHA-256, qop=auth, nc=0000000" in told,
        ),
    ],
    ids=["basic", "digest", "digest of today"],
)
def test_a_login_is_proven_as_the_camera_asks(media, challenge, right):
    talk = Talk(media, asks_for(challenge, right=right))
    with camera(talk) as url:
        watch(url, "admin", "geheim")
        assert not any("geheim" in text for text in talk.asked)
        assert talk.methods().count("DESCRIBE") == 2


def test_an_old_nonce_is_exchanged_and_a_wrong_password_tried_once(media):
    nonces = iter(["1", "2"])

    def answer(method, text):
        if method == "OPTIONS" or 'nonce="2"' in text:
            return None
        stale = ", stale=true" if "Authorization" in text else ""
        return "401 Unauthorized", (
            f'WWW-Authenticate: Digest realm="c", nonce="{next(nonces)}"{stale}\r\n',
            "",
        )

    with camera(Talk(media, answer)) as url:
        watch(url, "admin", "geheim")

    talk = Talk(media, asks_for('Digest realm="c", nonce="n"', right=lambda _: False))
    with camera(talk) as url, pytest.raises(CameraError) as told:
        watch(url, "admin", "falsch")
    assert told.value.code == "camera.wrong_password"
    assert len([text for text in talk.asked if "Authorization" in text]) == 1


def test_a_camera_that_sends_us_elsewhere_is_not_followed_but_to_itself(media):
    def to(place):
        def answer(method, text):
            if method == "DESCRIBE" and "/main RTSP" in text:
                return "302 Found", (f"Location: {place}\r\n", "")
            return None

        return answer

    talk = Talk(media, to("rtsp://192.0.2.1/other"))
    with camera(talk) as url, pytest.raises(CameraError) as told:
        watch(url)
    assert "not followed" in told.value.message

    talk = Talk(media)
    with camera(talk) as url:
        talk.answer = to(url.replace("/main", "/other"))
        watch(url)
        assert any(text.startswith("SETUP") and "/other/trackID=0" in text for text in talk.asked)


def test_the_camera_hears_that_somebody_is_still_there(media, monkeypatch):
    monkeypatch.setattr(dialog, "_LEAST_SESSION_S", 0.1)
    talk = Talk(media, session_s=0)
    with camera(talk) as url:
        source = open_source(StreamAddress(url), PATIENCE, CLOCK)
        packets = source.packets()
        try:
            eventually(lambda: next(packets) and "GET_PARAMETER" in talk.methods(), "a keep-alive")
            assert next(packets).size
        finally:
            source.close()


@pytest.mark.parametrize(
    ("method", "status", "code"),
    [
        ("SETUP", "461 Unsupported Transport", "camera.unreachable"),
        ("PLAY", "454 Session Not Found", "camera.unreachable"),
        ("DESCRIBE", "404 Not Found", "camera.no_such_stream"),
    ],
)
def test_what_a_camera_refuses_is_said(media, method, status, code):
    talk = Talk(media, lambda asked, _: (status, ("", "")) if asked == method else None)
    with camera(talk) as url, pytest.raises(CameraError) as told:
        watch(url)
    assert told.value.code == code


def test_nonsense_three_times_is_shown_to_libav_and_then_to_ours_again():
    tried = []

    class Asked(Readers):
        def _open_own(self, *arguments):
            tried.append("own")
            return super()._open_own(*arguments)

        def _open_libav(self, *arguments):
            tried.append("libav")
            return super()._open_libav(*arguments)

    class Nonsense(Talk):
        def said_to(self, text):
            return b"NONSENSE\r\n\r\n"

    readers, pace = Asked(), Pace(threading.Event(), lambda: 0.0)
    with camera(Nonsense(None)) as url:
        for _ in range(5):
            with pytest.raises(CameraError):
                open_source(
                    StreamAddress(url),
                    Patience(2.0, 2.0, is_known=True),
                    CLOCK,
                    None,
                    pace,
                    readers,
                )
    assert tried == ["own", "own", "own", "libav", "own"]
