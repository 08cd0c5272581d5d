"""The talk with a camera (RFC 2326) until its video plays, and what keeps it playing."""

from __future__ import annotations

import re
import socket
from urllib.parse import urlsplit, urlunsplit

from msgspec import structs

from agent.core.clock import Clock
from agent.core.shown import Shown
from agent.ingest import refusals
from agent.ingest.admission import Asking
from agent.ingest.greeting import RTSP_PORT, RTSPS_PORT, refuses_clearly
from agent.ingest.source import StreamAddress
from agent.ingest.wire.answers import Answer, take_answer
from agent.ingest.wire.description import VideoTrack, read_description
from agent.ingest.wire.line import Line, shown_by
from agent.ingest.wire.login import Challenge, Login
from agent.ingest.wire.pictures import DOLLAR

_AGENT = "Poleside"
_MOST_REALM = 128
_LAST_WORD_S = 0.2
_SESSION_S, _LEAST_SESSION_S = 60.0, 5.0
_CHANNELS = re.compile(r"interleaved\s*=\s*(\d{1,3})")
_TIMEOUT = re.compile(r"timeout\s*=\s*(\d{1,5})")
_SESSION = re.compile(r"[\x21-\x3a\x3c-\x7e]{1,256}")


class Dialog:
    """One session with one camera. All of it is over by `until_s` or raises `TimeoutError`."""

    def __init__(self, address: StreamAddress, clock: Clock, until_s: float) -> None:
        self._clock, self._until_s, self._tls = clock, until_s, address.tls
        self._door, self._trial, self._has_tried = address.door, address.trial, False
        self.asking: Asking | None = None  # who got the login over this connection
        self.waited_s = 0.0
        parts = urlsplit(address.url)
        self._is_tls = parts.scheme == "rtsps"
        self.host = parts.hostname or ""
        secret = address.secret
        self._login = Login(secret.username, secret.password)
        self._port: int | None = None
        self._url = self._base = self._aggregate = ""
        self._use(address.url)
        self._cseq = 0
        self._session = ""
        self._keep_alive = "OPTIONS"
        self._playing = 0  # the CSeq of PLAY until it is answered
        self.keep_alive_s = _SESSION_S / 2
        self.channel = 0
        self.has_answered = False
        self._line: Line | None = None

    @property
    def line(self) -> Line:
        assert self._line is not None  # noqa: S101 - connected first
        return self._line

    def connect(self) -> None:
        """Connect. Raises `CameraError` camera.tls, `OSError`."""
        port = self._port or (RTSPS_PORT if self._is_tls else RTSP_PORT)
        trust = self._tls if self._is_tls else None
        self._line = Line(self.host, port, trust, self._clock, self._left_s())

    def describe(self) -> VideoTrack:
        """Ask what there is. Raises `CameraError`, `NotUnderstood`, `OSError`, `BadAnswerError`."""
        options = self._ask("OPTIONS", self._url)
        if "GET_PARAMETER" in options.header("public").upper():
            self._keep_alive = "GET_PARAMETER"
        told = self._ask("DESCRIBE", self._url, {"Accept": "application/sdp"})
        if 300 <= told.status < 400:
            self._follow(told.header("location"))
            told = self._ask("DESCRIBE", self._url, {"Accept": "application/sdp"})
        self._check(told, "DESCRIBE")
        self._base = told.header("content-base") or told.header("content-location") or self._url
        track, control = read_description(told.body.decode("utf-8", "replace"))
        self._aggregate = self._joined(control)
        return track

    def knock(self) -> None:
        """Ask for the description only for the challenge that may come. Raises as `describe`."""
        self._ask("DESCRIBE", self._url, {"Accept": "application/sdp"})

    def set_up(self, track: VideoTrack) -> None:
        """Ask for the track over this connection. Raises as `describe`."""
        transport = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
        answer = self._ask("SETUP", self._joined(track.control), transport)
        self._check(answer, "SETUP")
        session = _SESSION.match(answer.header("session"))
        self._session = session[0] if session else ""
        if lasts := _TIMEOUT.search(answer.header("session")):
            self.keep_alive_s = max(_LEAST_SESSION_S, float(lasts[1])) / 2
        if (told := _CHANNELS.search(answer.header("transport"))) and int(told[1]) < 256:
            self.channel = int(told[1])

    def play(self) -> None:
        """Ask for the video. The answer comes between its packets: see `take`."""
        self._playing = self._say("PLAY", self._aggregate, {"Range": "npt=0.000-"})

    def take(self, answer: Answer) -> None:
        """Take an answer that came while the video plays. Raises `CameraError`."""
        if answer.status == 401 and not self._playing:  # the nonce of a keep-alive had grown old
            self._login.take(answer.all("www-authenticate"))
        if self._playing and answer.cseq in (self._playing, None):
            self._playing = 0
            self._check(answer, "PLAY")

    def keep_alive(self) -> None:
        """Tell the camera that somebody is still there. Raises `OSError`."""
        self._until_s = self._clock.monotonic_s() + 1.0
        self._say(self._keep_alive, self._aggregate)

    def close(self) -> None:
        """End the session and the connection; a camera that still listens is told."""
        if self._line is None:
            return
        hear_out_s = 0.0
        try:
            if self._session:
                self._until_s = self._clock.monotonic_s() + _LAST_WORD_S
                self._say("TEARDOWN", self._aggregate)
                hear_out_s = _LAST_WORD_S
        except OSError:
            pass
        finally:
            self._line.close(hear_out_s=hear_out_s)

    def _use(self, url: str) -> None:
        """Speak of this address; a login never stands in a request line."""
        parts = urlsplit(url)
        self._port = parts.port
        place = parts.netloc.rpartition("@")[2]
        self._url = self._base = self._aggregate = urlunsplit(parts._replace(netloc=place))

    def _follow(self, location: str) -> None:
        """Go where the camera sends us, as long as that is the camera itself."""
        parts = urlsplit(location)
        if parts.scheme != ("rtsps" if self._is_tls else "rtsp") or parts.hostname != self.host:
            raise refusals.unreachable(self.host, "it sends us to another place, not followed")
        self.line.close()
        self._use(location)
        self.connect()

    def _joined(self, control: str) -> str:
        """Return the address of a track (RFC 2326 C.1.1), as cameras mean it: appended."""
        if not control:
            return self._base
        if "://" in control[:8]:
            return control
        return self._base + ("" if self._base.endswith("/") else "/") + control

    def _check(self, answer: Answer, method: str) -> None:
        if answer.status == 200:
            return
        if answer.status in (401, 403):
            if self._is_tls or refuses_clearly(self._url):
                raise refusals.wrong_password(self.host)
            raise refusals.garbled()
        if answer.status == 404:
            raise refusals.no_such_stream(self.host)
        what = f"{method} is answered with {answer.status} {answer.reason[:60]}".rstrip()
        raise refusals.unreachable(self.host, what)

    def _ask(self, method: str, url: str, headers: dict[str, str] | None = None) -> Answer:
        """Ask and wait; a challenge is answered once, an old nonce once more."""
        while True:
            cseq = self._say(method, url, headers)
            answer = self._answer(cseq)
            if answer.status != 401 or not self._login.take(answer.all("www-authenticate")):
                if self._has_tried:
                    self._judged(answer, method)
                return answer
            self._be_admitted()

    def _be_admitted(self) -> None:
        """Have it decided, once a connection, whether who is there gets the login, and now."""
        challenge = self._login.asked
        if challenge is None or self._has_tried:
            return
        began_s = self._clock.monotonic_s()
        if self._door is not None:
            asking = _asking(self.host, self.line.shown(), challenge, is_tls=self._is_tls)
            self._door.admit(asking)
            self.asking = asking
        if self._trial is not None:
            self._trial.begin()
        self._has_tried, self.waited_s = True, self._clock.monotonic_s() - began_s
        self._until_s += self.waited_s

    def _judged(self, answer: Answer, method: str) -> None:
        """Hear what the camera thinks of the login; one that is refused is not sent again."""
        if answer.status == 401:
            self._check(answer, method)
        if answer.status != 403 and self._trial is not None:
            self._trial.taken()
            self._trial = None

    def _say(self, method: str, url: str, headers: dict[str, str] | None = None) -> int:
        self._cseq += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._cseq}", f"User-Agent: {_AGENT}"]
        if self._session:
            lines.append(f"Session: {self._session}")
        if login := self._login.header(method, url):
            lines.append(f"Authorization: {login}")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.line.send("\r\n".join([*lines, "", ""]).encode(), self._left_s())
        return self._cseq

    def _answer(self, cseq: int) -> Answer:
        line = self.line
        while True:
            answer = self._next_answer(line)
            if answer is not None and answer.cseq in (cseq, None):
                self.has_answered = True
                return answer
            if answer is None:
                if not line.wait(self._left_s()):
                    raise TimeoutError
                line.read()

    @staticmethod
    def _next_answer(line: Line) -> Answer | None:
        """Return the next answer that is all there; frames nobody asked for yet are let go."""
        while line.end - line.start >= 4 and line.raw[line.start] == DOLLAR:
            after = (
                line.start + 4 + int.from_bytes(line.raw[line.start + 2 : line.start + 4], "big")
            )
            if after > line.end:
                return None
            line.start = after
        if line.end == line.start or line.raw[line.start] == DOLLAR:
            return None
        found = take_answer(line.raw, line.start, line.end)
        if found is None:
            return None
        answer, line.start = found
        return answer

    def _left_s(self) -> float:
        left_s = self._until_s - self._clock.monotonic_s()
        if left_s <= 0:
            raise TimeoutError
        return left_s


def asking_of(address: StreamAddress, line: socket.socket, challenges: list[str]) -> Asking:
    """Return who asks for a login over another's connection; in clear, if not by a digest."""
    login = Login("anybody", "")
    login.take(challenges)
    parts = urlsplit(address.url)
    challenge = login.asked or Challenge("")
    return _asking(parts.hostname or "", shown_by(line), challenge, is_tls=parts.scheme == "rtsps")


def _asking(host: str, shown: Shown, challenge: Challenge, *, is_tls: bool) -> Asking:
    whole = structs.replace(shown, realm=challenge.realm[:_MOST_REALM])
    return Asking(host, whole, in_clear=not challenge.algorithm and not is_tls)
