"""One camera's door: the login that all lines to it share, and what the camera thought of it.

Cameras lock a user out after a few wrong tries, and count them whoever sends them. So a refusal
shuts the door for every line at once; a new login opens it at once, and a Stop is not held by it.
What the video lines and former runs have learned of the login counts, too
(`agent.core.login_tries`). Threads of the core process.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Literal, Protocol

from agent.cameras.port import (
    CameraClockSkew,
    CameraFailure,
    CameraLockedOut,
    CameraStranger,
    CameraUnreachable,
    CameraUnsettled,
    CameraWrongPassword,
    Login,
)

if TYPE_CHECKING:
    from agent.cameras.soap import SoapLink
from agent.core.clock import Clock
from agent.core.login_record import Face, Secret
from agent.core.login_tries import LoginBusyError, LoginHeldError, LoginTries, Trial

Way = Literal["", "digest", "token"]
LATELY_S = 30.0  # in less, hardly anybody puts another camera at the address
_NOTE_S = 5.0  # so often it is noted that the camera takes the login: the video may doubt it
_YIELD_S = 0.1  # to another line's try, once the login is known to be good: a Stop can't wait

_thread = threading.local()


@contextmanager
def stopping() -> Iterator[None]:
    """Whatever this thread asks a camera inside the block is part of a Stop: nothing holds it."""
    was = is_stopping()
    _thread.is_stopping = True
    try:
        yield
    finally:
        _thread.is_stopping = was


def is_stopping() -> bool:
    """Say whether this thread is sending a Stop."""
    return getattr(_thread, "is_stopping", False)


@dataclass(frozen=True, slots=True)
class Key:
    """The login in force; `number` tells it from the one before, even of the same words."""

    login: Login
    number: int


class Recognise(Protocol):
    """Look, without a login, who is there. Raises `CameraStranger`."""

    def __call__(self, link: "SoapLink", timeout_s: float) -> bool:
        """Return whether the login may be sent in any way, not by digest only.

        Each question may take `timeout_s`.
        """
        ...


class Door:
    """Shared by all lines to one camera.

    `way` is what the camera has taken: "token" of one that asks for a digest and refuses it.

    After an absence, and at first, `recognise` is asked before a login goes out: an address may
    have passed to another camera meanwhile.
    """

    def __init__(
        self,
        login: Login,
        clock: Clock,
        recognise: Recognise | None = None,
        *,
        host: str = "",
        tries: LoginTries | None = None,
    ) -> None:
        """`tries`: what all processes share about logins at the `host`."""
        self._clock, self._recognise = clock, recognise
        self._host, self._tries = host, tries or LoginTries(clock)
        self._digest_only: bool | None = None if recognise else False  # None: in doubt
        self._trying = threading.RLock()
        self._key = Key(login, 0)
        self._is_proven = False
        self._refusal: CameraFailure | None = None
        self._note_mono_s = -inf
        self._answered_mono_s = -inf
        self.way: Way = ""
        self._fell_back: Key | None = None

    @property
    def key(self) -> Key:
        """What to log in with now."""
        return self._key

    @property
    def is_proven(self) -> bool:
        """Whether the camera has taken this login."""
        return self._is_proven

    def change(self, login: Login) -> None:
        """Use `login` from now on; what the camera thought of the one before says nothing of it."""
        self._key = Key(login, self._key.number + 1)
        self._is_proven, self._refusal = False, None

    def give(self, login: Login) -> None:
        """Use `login`, and have it tried at once even if it was refused before."""
        self.change(login)
        self._tries.forgiven(self._secret(self._key), Face.ONVIF)

    def may_fall_back(self, key: Key) -> bool:
        """Say, once until the login was taken, whether a token may follow a refused digest.

        Not where digests were taken before: two wrong tries are nearer to a lock-out than one.
        """
        may = self.way != "digest" and key is not self._fell_back and not self._refusals()
        self._fell_back = key
        return may

    @property
    def is_turn_of_token(self) -> bool:
        """Whether to begin with a token: of a login refused both ways it has every third try."""
        return self.way == "token" or (self.way == "" and self._refusals() % 3 == 2)

    def check(self) -> None:
        """Raise the last refusal again while it is fresh, without asking the camera.

        Over as soon as the video was let in with the same login; a Stop has tries of its own.
        """
        refusal = self._refusal
        if refusal is None:
            return
        secret = self._secret(self._key)
        if is_stopping():
            left_s = self._tries.stop_left_s(secret)
        elif not (left_s := self._tries.left_s(secret, Face.ONVIF)):
            self._refusal = None
        if left_s:
            raise type(refusal)(f"{refusal.message}; next try in {left_s:.0f} s")

    def doubt(self) -> None:
        """The camera was away: look who is there before the next login."""
        if self._recognise is not None:
            self._digest_only = None

    def answered(self) -> None:
        """Our camera answered well, over any of its lines."""
        self._answered_mono_s = self._clock.monotonic_s()

    @property
    def answered_lately(self) -> bool:
        """Whether it is still there as good as surely: a Stop need not wait for a look."""
        return self._clock.monotonic_s() - self._answered_mono_s < LATELY_S

    def proven(self) -> None:
        """After the login it told that it is ours: no doubt is left until it is away again."""
        self._digest_only = False

    def look_out(self, link: "SoapLink", timeout_s: float) -> bool:
        """Return whether to log in by digest only; look who is there if that is in doubt.

        Raises `CameraStranger`, `CameraUnreachable`.
        """
        digest_only = self._digest_only
        if digest_only is None and self._recognise is not None:
            try:
                self._digest_only = digest_only = not self._recognise(link, timeout_s)
            except CameraStranger:
                self._answered_mono_s = -inf
                raise
        return bool(digest_only)

    @contextmanager
    def turn(self, patience_s: float) -> Iterator[Key]:
        """Try one line after the other, so that one refusal is enough for all of them."""
        secret = self._secret(self._key)
        may_pass = self._is_proven or (is_stopping() and self._tries.was_taken(secret, Face.ONVIF))
        has_turn = self._trying.acquire(timeout=_YIELD_S if may_pass else patience_s)
        trial = self._tries.trial(secret, Face.ONVIF)
        try:
            self.check()
            if not (has_turn or may_pass or self._is_proven):
                raise CameraUnreachable("the camera has not answered the login before this one")
            if not self._is_proven and self._key.login.username:
                self._begin(trial, patience_s)
            yield self._key
        finally:
            trial.close()
            if has_turn:
                self._trying.release()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Have all other lines wait at the door: the camera is being given another password."""
        with self._trying:
            self._is_proven = False
            yield

    def opened(self, key: Key) -> None:
        """The camera took this login."""
        if key is self._key:
            now_s = self._clock.monotonic_s()
            if not self._is_proven or now_s >= self._note_mono_s:
                self._note_mono_s = now_s + _NOTE_S
                self._tries.taken(self._secret(key), Face.ONVIF)
            self._is_proven, self._fell_back = True, None  # it is right: what it took it may again
            self._refusal = None

    def shut(self, key: Key, error: CameraFailure, messages: int = 1) -> CameraFailure:
        """The camera refused this login, sent so often; return what is to be told of it."""
        if key is not self._key:
            return error
        self._is_proven = False
        secret = self._secret(key)
        self._tries.refused(secret, Face.ONVIF, error.code, messages=messages)
        is_plain = type(error) is CameraWrongPassword
        if is_plain and self._tries.is_in_doubt(secret, Face.ONVIF):
            error = CameraUnsettled("the camera refuses a login that it took before")
        self._refusal = error
        return error

    def _secret(self, key: Key) -> Secret:
        return Secret(self._host, key.login.username, key.login.password)

    def _refusals(self) -> int:
        return self._tries.refusals(self._secret(self._key), Face.ONVIF)

    @staticmethod
    def _begin(trial: Trial, patience_s: float) -> None:
        try:
            trial.begin(patience_s, is_stop=is_stopping())
        except LoginHeldError as held:
            kinds = (CameraClockSkew, CameraLockedOut, CameraUnsettled)
            told: dict[str, type[CameraFailure]] = {kind.camera_code: kind for kind in kinds}
            raise told.get(held.code, CameraWrongPassword)(held.message) from None
        except LoginBusyError as busy:
            raise CameraUnreachable(busy.message) from None
