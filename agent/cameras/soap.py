"""The SOAP line to one camera: finds the login the camera takes, stamps its time, judges answers.

Order of trying: nothing, then HTTP digest when challenged, else (or when that is refused, once) a
UsernameToken by the camera's own clock; what works is remembered. A refused password is tried once,
then not again for a while by any line to the camera (`agent.cameras.door`). Safe for two threads at
once. Core process.
"""

import base64
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from agent.cameras.address import device_service_url
from agent.cameras.bounded_http import Answer, BoundedHttp
from agent.cameras.credentials import SOAP_NS, DigestChallenge, with_username_token
from agent.cameras.door import Door, Key, is_stopping
from agent.cameras.port import (
    CameraClockSkew,
    CameraFailure,
    CameraStranger,
    CameraUnreachable,
    CameraWrongPassword,
    Login,
)
from agent.cameras.soap_answer import (
    blames_time,
    camera_time,
    fault_of,
    http_time,
    lock_out,
    problem_of,
    refuses_login,
)
from agent.cameras.tls import CameraTls
from agent.core.clock import Clock
from agent.core.login_tries import BACK_OFF_S

CALL_S = 5.0
_LOOK_S = 1.0
_DIGEST_ONLY = "another camera is there, and takes no login that keeps the password to ourselves"
_NO_FILES = "the camera refuses the login for this file"
_NONCES = 3  # in a row that may be too old; some cameras say so of every wrong password
_CLOCK_STEP_S = 5.0  # below this a camera's clock did not change, so it was not the reason
_BODY = rb":Body[^>]*>\s*<(?:\w+:)?"
# What does harm, or leaves something behind, when a camera is made to do it twice.
_ONCE_ONLY = re.compile(
    _BODY + rb"(CreatePullPointSubscription|Subscribe|RelativeMove|SetPreset|CreateOSD|CreateMask"
    rb"|SystemReboot|SetUser)\b"
)
_CONTENT_TYPE = "application/soap+xml; charset=utf-8"
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": "Poleside"}


def _asking(name: str) -> bytes:
    return (
        f'<s:Envelope xmlns:s="{SOAP_NS}"><s:Body><{name} '
        'xmlns="http://www.onvif.org/ver10/device/wsdl"/></s:Body></s:Envelope>'
    ).encode()


_DATE_QUESTION, _PROOF = _asking("GetSystemDateAndTime"), _asking("GetDeviceInformation")


class _Way(Enum):
    """How requests carry the login."""

    OPEN = auto()
    DIGEST = auto()
    TOKEN = auto()


@dataclass(frozen=True, slots=True)
class _CameraClock:
    """The camera's UTC at one moment of ours, counted on monotonic: our own jumps don't matter."""

    at: datetime
    mono_s: float
    is_measured: bool

    def now(self, clock: Clock) -> datetime:
        return self.at + timedelta(seconds=clock.monotonic_s() - self.mono_s)


@dataclass(frozen=True, slots=True)
class _Request:
    url: str
    envelope: bytes
    content_type: str
    timeout_s: float
    login: Login


@dataclass(frozen=True, slots=True)
class ClockReading:
    """How far the camera's clock is ahead of ours; None: it does not tell. The way took `trip_s`.

    A camera tells whole seconds, so one second either way means nothing.
    """

    ahead_s: float | None
    trip_s: float


class SoapLink:
    """One line to a camera. `device_url` is the address all others are repaired by.

    `login` is a `Door` where several lines lead to the same camera.
    """

    def __init__(
        self,
        device_url: str,
        login: Login | Door,
        clock: Clock,
        *,
        call_s: float = CALL_S,
        tls: CameraTls | None = None,
    ) -> None:
        self.device_url = device_service_url(device_url)
        self.tls = tls or CameraTls()
        self._http = BoundedHttp(clock, self.tls)
        self._clock, self._call_s = clock, call_s
        self._has_spoken_soap = False
        self.door = login if isinstance(login, Door) else Door(login, clock)
        self._key: Key | None = None
        self._files_refused: tuple[Key, float] | None = None  # each try may count for a lock-out
        self._way, self._digest_only = _Way.OPEN, False
        # A camera refuses a count that comes late: one nonce is for one request at a time.
        self._nonces: list[DigestChallenge] = []
        self._camera_clock: _CameraClock | None = None

    def change_login(self, login: Login) -> None:
        """Use `login` from now on, here and on all lines through the same door, at once."""
        self.door.give(login)

    def call(
        self,
        url: str,
        envelope: bytes,
        content_type: str = _CONTENT_TYPE,
        *,
        timeout_s: float | None = None,
    ) -> Answer:
        """Send one envelope and return the camera's good answer; any other is a `CameraFailure`."""
        self.door.check()
        hurries = self._may_hurry()
        if not hurries:
            self._digest_only = self._look_out()
        key, way = self._present_key(), self._way
        if not self.door.is_proven or (way is _Way.TOKEN and self._digest_only):
            way = _Way.OPEN  # a login that may be wrong goes through the door, by one line alone
        request = _Request(url, envelope, content_type, timeout_s or self._call_s, key.login)
        answer, way = self._send_as_known(request, way)
        if refuses_login(answer):
            if hurries:
                self._digest_only = self._look_out()
            answer = self._with_login(request, key, way, answer)
        elif way is not _Way.OPEN:
            self.door.opened(key)
        problem = problem_of(answer, has_spoken_soap=self._has_spoken_soap)
        if problem is not None:
            raise problem
        self._has_spoken_soap = True
        self.door.answered()
        return answer

    def _look_out(self) -> bool:
        """Look who is there if that is in doubt; a Stop waits for it as short as can be."""
        return self.door.look_out(self, _LOOK_S if is_stopping() else self._call_s)

    def _may_hurry(self) -> bool:
        """Say whether to send it without a look who is there: a Stop, soon after a good answer.

        It carries the login by digest at most; when that is refused the look is made up for.
        """
        self._present_key()
        return is_stopping() and self._way is not _Way.TOKEN and self.door.answered_lately

    def _with_login(self, request: "_Request", key: Key, way: _Way, refused: Answer) -> Answer:
        """Send it again with a login, one line after the other while the login is not proven.

        What may take long, as a pull for events does, would keep the others waiting at the door:
        there the login is proven by a short question first.
        """
        if (locked := lock_out(refused)) is not None:
            if way is _Way.OPEN:
                raise locked  # it says so to everybody: a login now might only prolong it
            raise self._refuse(refused, key, 1)
        with self.door.turn(self._call_s) as now:
            tried = way if now is key else _Way.OPEN  # changed while we waited
            request = replace(request, login=now.login)
            if self.door.is_proven or request.timeout_s <= self._call_s:
                answer = self._log_in(request, now, tried, refused)
                self.door.opened(now)
                return answer
            self._log_in(self._question(_PROOF, now.login), now, tried, refused)
            self.door.opened(now)
        answer, way = self._send_as_known(request, self._way)
        if not refuses_login(answer):
            return answer
        return self._log_in(request, now, way, answer)  # a nonce that serves once only

    def fetch(self, url: str) -> Answer:
        """GET a file of the camera, such as a snapshot: open, with digest, else with Basic."""
        self.door.check()
        key = self.door.key
        if self._files_refused is not None and self._files_refused[0] is key:
            if self._clock.monotonic_s() < self._files_refused[1] + BACK_OFF_S:
                raise CameraWrongPassword(_NO_FILES)
            self._files_refused = None
        self._digest_only = self._look_out()
        answer = self._http.request("GET", url, lambda: (b"", _HEADERS), timeout_s=self._call_s)
        if answer.status_code != 401 or not key.login.username:
            return answer
        challenge = DigestChallenge.best_of(answer.challenges)
        if challenge is None and self._digest_only:
            raise CameraStranger(_DIGEST_ONLY)

        with self.door.turn(self._call_s) as now:
            return self._fetch_with_login(url, now, challenge)

    def _fetch_with_login(self, url: str, key: Key, challenge: DigestChallenge | None) -> Answer:
        login = key.login

        def with_login() -> tuple[bytes, dict[str, str]]:
            if challenge is not None:
                proof = challenge.authorization(login, url, "GET")
            else:
                secret = f"{login.username}:{login.password}".encode()
                proof = f"Basic {base64.b64encode(secret).decode()}"
            return b"", {**_HEADERS, "Authorization": proof}

        answer = self._http.request("GET", url, with_login, timeout_s=self._call_s)
        if answer.status_code == 401:
            error = CameraWrongPassword(_NO_FILES)
            if not self.door.is_proven:
                raise self.door.shut(key, error)
            self._files_refused = key, self._clock.monotonic_s()  # it is right, but not for this
            raise error
        return answer

    def measure_clock(self) -> ClockReading:
        """Ask the camera's time without a login; by HTTP `Date` when it hides it."""
        asked_mono_s = self._clock.monotonic_s()
        answer = self._ask_date()
        trip_s = self._clock.monotonic_s() - asked_mono_s
        at = camera_time(answer)
        if at is None:
            return ClockReading(None, trip_s)
        ours = self._clock.utc_now() - timedelta(seconds=trip_s / 2)
        return ClockReading((at - ours).total_seconds(), trip_s)

    def ask_openly(self, name: str, *, timeout_s: float) -> Answer:
        """Send a question of the device service without any login, and return what comes."""
        question = self._question(_asking(name), Login())
        return self._send(replace(question, timeout_s=timeout_s), _Way.OPEN)

    def close(self) -> None:
        self._http.close()

    def _present_key(self) -> Key:
        """Return the key in force; with a new one, begin anew as with an unknown camera."""
        key = self.door.key
        if key is not self._key:
            self._key, self._way = key, _Way.OPEN
            self._nonces, self._camera_clock = [], None
        return key

    def _ask_date(self) -> Answer:
        return self._send(self._question(_DATE_QUESTION, Login()), _Way.OPEN)

    def _question(self, envelope: bytes, login: Login) -> "_Request":
        return _Request(self.device_url, envelope, _CONTENT_TYPE, self._call_s, login)

    def _send_as_known(self, request: "_Request", way: _Way) -> tuple[Answer, _Way]:
        """Send it that way, or openly where no nonce is at hand; return the way it went, too."""
        if way is not _Way.DIGEST:
            return self._send(request, way), way
        nonces = self._nonces
        try:
            challenge = nonces.pop()
        except IndexError:
            return self._send(request, _Way.OPEN), _Way.OPEN
        try:
            answer = self._send(request, way, challenge)
        except CameraFailure:
            nonces.append(challenge)  # its count was sent: the next one is higher
            raise
        if not refuses_login(answer):
            nonces.append(challenge)
        return answer, way

    def _send(
        self, request: "_Request", way: _Way, challenge: DigestChallenge | None = None
    ) -> Answer:
        url, camera_clock = request.url, self._camera_clock

        def stamped() -> tuple[bytes, dict[str, str]]:
            envelope = request.envelope
            headers = {"Content-Type": request.content_type, **_HEADERS}
            if way is _Way.DIGEST and challenge is not None:
                headers["Authorization"] = challenge.authorization(request.login, url)
            elif way is _Way.TOKEN and camera_clock is not None:
                now = camera_clock.now(self._clock)
                envelope = with_username_token(envelope, request.login, now)
            return envelope, headers

        try:
            return self._http.request(
                *("POST", url, stamped),
                timeout_s=request.timeout_s,
                may_repeat=_ONCE_ONLY.search(request.envelope) is None,
            )
        except CameraUnreachable:
            self.door.doubt()
            raise

    def _log_in(self, request: "_Request", key: Key, tried: _Way, refused: Answer) -> Answer:
        """Try the login as the refusal asks for it; a refused digest falls back to a token, once.

        Some cameras ask for a digest and know only the users of the token. Both together are one
        try of the password, and what works is remembered (`Door`).
        """
        if not request.login.username:
            raise CameraWrongPassword("the camera wants a user name and password")
        self._present_key()
        sent = 0 if tried is _Way.OPEN else 1
        challenge = DigestChallenge.best_of(refused.challenges)
        if challenge is not None and (self._digest_only or not self.door.is_turn_of_token):
            # a fresh nonce is worth a try even when one was just refused
            self._way = _Way.DIGEST
            answer = self._send_digest(request, challenge)
            if not refuses_login(answer):
                self.door.way = "digest"
                return answer
            is_locked = lock_out(answer) is not None
            if is_locked or self._digest_only or not self.door.may_fall_back(key):
                raise self._refuse(answer, key, sent + 1)
            refused, tried = answer, _Way.DIGEST
        if self._digest_only:
            raise CameraStranger(_DIGEST_ONLY)
        if not self._find_camera_clock(refused) and tried is _Way.TOKEN:
            raise self._refuse(refused, key, sent)
        self._way = _Way.TOKEN
        answer = self._send(request, self._way)
        if refuses_login(answer):
            self.door.way = ""
            raise self._refuse(answer, key, sent + 1)
        if challenge is not None:
            self.door.way = "token"
        return answer

    def _send_digest(self, request: "_Request", challenge: DigestChallenge) -> Answer:
        """Log in with a nonce that nobody else uses; with another where it was too old already."""
        for _ in range(_NONCES):
            answer = self._send(request, _Way.DIGEST, challenge)
            if not refuses_login(answer):
                self._nonces.append(challenge)
                break
            fresh = DigestChallenge.best_of(answer.challenges)
            if fresh is None or not fresh.is_stale:
                break
            challenge = fresh
        return answer

    def _find_camera_clock(self, refused: Answer) -> bool:
        """Measure the camera's clock: asked, by HTTP `Date`, else ours. Say whether it is news."""
        old = self._camera_clock
        at = camera_time(self._ask_date()) or http_time(refused)
        new = _CameraClock(
            at or self._clock.utc_now(), self._clock.monotonic_s(), is_measured=at is not None
        )
        self._camera_clock = new
        if old is None:
            return True
        step = new.now(self._clock) - old.now(self._clock)
        return abs(step.total_seconds()) > _CLOCK_STEP_S

    def _refuse(self, answer: Answer, key: Key, messages: int) -> CameraFailure:
        clock = self._camera_clock
        is_blind = (
            self._way is _Way.TOKEN
            and clock is not None
            and not clock.is_measured
            and fault_of(answer) is not None  # a bare web page never looked at the token's time
        )
        error: CameraFailure | None = lock_out(answer)
        if error is None and (is_blind or blames_time(answer)):
            error = CameraClockSkew("the camera refuses the login and does not tell its time")
        if error is None:
            error = CameraWrongPassword("the camera refuses user name or password")
        self._way, self._nonces, self._camera_clock = _Way.OPEN, [], None
        return self.door.shut(key, error, messages)
