"""One camera's login, tried by one line at a time and remembered by all of them, over any restart.

A camera that is told a wrong password a few times locks its user out, whoever of us said it: the
core over ONVIF, its worker over RTSP (main, sub, loudspeaker). So they share one small record a
camera (`agent.core.login_record`) of what it thought of a secret. Another password, or another
host, is another matter, and is tried at once.

**One try** is a login sent until the camera has said what it thinks of it. Over RTSP and for a
picture that is one message. Over ONVIF it is one too, or two: where no digest was ever taken a
token after it, for cameras that know only the users of the token; and where an old nonce was
refused, once more with a fresh one, as many cameras do not say which of both was wrong.

**Who may try.** A secret that this face (ONVIF, or video) of the camera has taken before may be
used by all lines; those of the video let one go first, for a moment, so that main and sub do not
both try what was changed at the camera. Any other is tried by one line alone; the others wait for
their turn, and then go by what came of it:

- refused here: not again for `ONVIF_RETRY_S`, or `VIDEO_RETRY_S` and then more and more rarely.
- refused here, where it was taken before: a camera that starts up refuses everybody, so this is in
  **doubt**, and nobody is told that the password is wrong. It is tried again a moment later, and
  the last time `SETTLED_S` after that: until both faces together were sent it four times. One that
  says it has locked us out is in no doubt: each further try might prolong that.
- refused by the other face: not for `BACK_OFF_S`, but only while this face has never taken it. Many
  cameras have users of their own for ONVIF: what works is never stopped by what does not, so a
  refusal over ONVIF stops no recording, and one over RTSP no Stop and no bell.
- taken by the other face after it was refused here: tried at once, somebody has put it right. What
  this face took before is tried so after its first refusals alone, and not within `SETTLED_S`:
  where the two have passwords of their own, one that works says nothing of the other.
- asked for where none is in the settings: nothing was sent, so it is asked again soon.

**A Stop** with a login that ONVIF ever took waits for nobody's turn, and is not held by a refusal:
it has tries of its own, the first at once, then one in `STOP_RETRY_S`.

So a wrong password costs one try in five minutes, and each face has its turn; a Stop that is wanted
all the time makes it three. Which face is first is left to who asks: the core lets the video go
first with a new secret (`agent.app.camera_place`).
"""

from __future__ import annotations

from contextlib import ExitStack
from math import inf
from typing import TYPE_CHECKING

from msgspec import structs

from agent.core.errors import CameraError
from agent.core.login_record import REFUSED, Face, LoginRecord, Secret, Standing

if TYPE_CHECKING:
    from pathlib import Path

    from agent.core.clock import Clock

BACK_OFF_S = ONVIF_RETRY_S = 300.0
# Longer than ONVIF's, which asks by the minute: after a refusal by both it has its turn in between.
VIDEO_RETRY_S, VIDEO_RETRY_CAP_S, GOOD_LOGIN_RETRY_S = 375.0, 3600.0, 1.5
STOP_RETRY_S = 100.0
WAIT_S, TURN_S = 3.0, 10.0  # a line waits so long at once, and in all before it goes on alone
GOOD_TURN_S = 0.5  # with a login that is known to be good
SETTLED_S = 10.0  # by then a camera that starts up knows its users
NO_LOGIN_RETRY_S = 10.0
IN_DOUBT, LOCKED_OUT = "camera.unsettled", "camera.locked_out"
FOLDER = "logins"
_MOST_DOUBTED, _MOST_OF_BOTH = 2, 3  # refusals in a row after which it is still tried soon
_MOST_VOUCHED = 3


class LoginHeldError(CameraError):
    """The camera refused this login lately; `code` says as what. It is left alone for `left_s`."""

    def __init__(self, why: str, left_s: float) -> None:
        super().__init__(why, f"the camera refused this login; next try in {left_s:.0f} s")
        self.left_s = left_s


class LoginBusyError(CameraError):
    """Another line is trying this login just now."""

    def __init__(self) -> None:
        words = "the camera has not answered the login before this one"
        super().__init__("camera.unreachable", words, retryable=True)


class LoginTries:
    """One camera's. Without a file, or where it can't be written, known to this object alone."""

    def __init__(self, clock: Clock, file: Path | None = None) -> None:
        self._clock, self._record = clock, LoginRecord(clock, file)
        self._waiting_since_s: float | None = None

    def trial(self, secret: Secret, face: Face) -> Trial:
        """Return a try for one line, to be begun when the camera asks for the login."""
        return Trial(self, secret, face)

    def now_s(self) -> float:
        """Return the time that it goes by."""
        return self._clock.monotonic_s()

    def is_new(self, secret: Secret) -> bool:
        """Say whether nobody has tried it yet."""
        return not self._record.standings(secret)

    def refusals(self, secret: Secret, face: Face) -> int:
        """Return how often this face refused it since it was taken last."""
        return self._both(secret, face)[0].times

    def left_s(self, secret: Secret, face: Face) -> float:
        """Return how long not to try it; 0: it may be tried."""
        mine, other = self._both(secret, face)
        until_s = _held_until_s(face, mine, other)
        if not secret.username and mine.refused_mono_s is not None:
            until_s = min(until_s, mine.refused_mono_s + NO_LOGIN_RETRY_S)
        return max(0.0, until_s - self._clock.monotonic_s())

    def stop_left_s(self, secret: Secret) -> float:
        """Return how long not to try it for a Stop."""
        left_s, mine = self.left_s(secret, Face.ONVIF), self._both(secret, Face.ONVIF)[0]
        if mine.taken_mono_s is None:
            return left_s
        since_s = -inf if mine.stop_mono_s is None else mine.stop_mono_s
        return min(left_s, max(0.0, since_s + STOP_RETRY_S - self._clock.monotonic_s()))

    def check(self, secret: Secret, face: Face) -> None:
        """Raise `LoginHeldError` where it is not to be tried now."""
        if left_s := self.left_s(secret, face):
            raise LoginHeldError(self._why(secret, face), left_s)

    def check_stop(self, secret: Secret) -> None:
        """Raise `LoginHeldError` where no Stop may try it now; else this is the Stop's own try."""
        if left_s := self.stop_left_s(secret):
            raise LoginHeldError(self._why(secret, Face.ONVIF), left_s)
        if self.left_s(secret, Face.ONVIF):
            now_s = self._clock.monotonic_s()
            self._record.change(
                secret, Face.ONVIF, lambda was: structs.replace(was, stop_mono_s=now_s)
            )

    def was_taken(self, secret: Secret, face: Face) -> bool:
        """Say whether this face has ever taken it."""
        return self._both(secret, face)[0].taken_mono_s is not None

    def is_good(self, secret: Secret, face: Face) -> bool:
        """Say whether this face has taken it, and not refused it since."""
        mine = self._both(secret, face)[0]
        return mine.taken_mono_s is not None and mine.refused_mono_s is None

    def is_in_doubt(self, secret: Secret, face: Face) -> bool:
        """Say whether a refusal may mean only that the camera starts up."""
        mine, other = self._both(secret, face)
        return mine.refused_mono_s is not None and _is_in_doubt(mine, other)

    def taken(self, secret: Secret, face: Face) -> None:
        """The camera took it."""
        now_s = self._clock.monotonic_s()
        if _is_news(*self._both(secret, face), now_s):
            self._record.change(secret, face, lambda _: Standing(taken_mono_s=now_s))

    def refused(
        self,
        secret: Secret,
        face: Face,
        why: str = REFUSED,
        *,
        tried_s: float = inf,
        messages: int = 1,
    ) -> None:
        """The camera refused it; `why` is the code that is told.

        `tried_s`: when it was tried. Two lines at the same time are as good as one. `messages`: how
        often it was sent for this; of a login that was good each of them counts.
        """
        now_s = self._clock.monotonic_s()

        def again(was: Standing) -> Standing:
            is_same = was.refused_mono_s is not None and tried_s <= was.refused_mono_s
            more = 1 if was.taken_mono_s is None else messages
            times = was.times + (0 if is_same else more)
            return structs.replace(was, refused_mono_s=now_s, times=times, why=why)

        self._record.change(secret, face, again)

    def forgiven(self, secret: Secret, face: Face) -> None:
        """Somebody who knows why it was refused has it tried again."""
        if self.refusals(secret, face):
            self._record.change(secret, face, lambda was: Standing(taken_mono_s=was.taken_mono_s))

    def wait_for_turn(self, patience_s: float, held: ExitStack) -> None:
        """Wait for the turn, which then is `held`, but not for ever. Raises `LoginBusyError`."""
        now_s = self._clock.monotonic_s()
        if self._record.has_turn(patience_s, held):
            self._waiting_since_s = None
            return
        if self._waiting_since_s is None:
            self._waiting_since_s = now_s
        if self._clock.monotonic_s() - self._waiting_since_s < TURN_S:
            raise LoginBusyError

    def has_turn(self, patience_s: float, held: ExitStack) -> bool:
        """Wait for the turn, which then is `held`; return whether it came."""
        return self._record.has_turn(patience_s, held)

    def _both(self, secret: Secret, face: Face) -> tuple[Standing, Standing]:
        """Return what this face thinks of it, and the other."""
        faces = self._record.standings(secret)
        return faces.get(face, Standing()), faces.get(face.other, Standing())

    def _why(self, secret: Secret, face: Face) -> str:
        mine, other = self._both(secret, face)
        if _is_in_doubt(mine, other):
            return IN_DOUBT
        why = mine.why if mine.refused_mono_s is not None else other.why
        return why if face is Face.ONVIF else REFUSED


def tries_of(data_dir: Path | None, camera_id: str, clock: Clock) -> LoginTries:
    """Return what all processes of the box share about a camera's login."""
    return LoginTries(clock, None if data_dir is None else data_dir / FOLDER / f"{camera_id}.login")


class Trial:
    """One line's try of a secret. Used by one thread; `close` it in the end, whatever came of it.

    `begin` is called once the camera asks for the login, `taken` or `refused` once it has judged.
    """

    def __init__(self, tries: LoginTries, secret: Secret, face: Face) -> None:
        self._tries, self._secret, self._face = tries, secret, face
        self._held, self._tried_s = ExitStack(), inf

    def begin(self, patience_s: float = WAIT_S, *, is_stop: bool = False) -> None:
        """Wait until the login may be sent. Raises `LoginHeldError`, `LoginBusyError`."""
        is_hurried = is_stop and self._tries.was_taken(self._secret, self._face)
        if not is_hurried and not self._tries.is_good(self._secret, self._face):
            self._tries.wait_for_turn(patience_s, self._held)
        elif self._face is Face.VIDEO:  # not ONVIF: a Stop can't wait
            self._tries.has_turn(min(patience_s, GOOD_TURN_S), self._held)
        try:
            if is_hurried:
                self._tries.check_stop(self._secret)
            else:
                self._tries.check(self._secret, self._face)
        except LoginHeldError:
            self.close()
            raise
        self._tried_s = self._tries.now_s()

    def taken(self) -> None:
        """The camera took the login."""
        self._tries.taken(self._secret, self._face)
        self.close()

    def refused(self, why: str = REFUSED) -> bool:
        """The camera refused it; return whether that is in doubt."""
        self._tries.refused(self._secret, self._face, why, tried_s=self._tried_s)
        self.close()
        return self._tries.is_in_doubt(self._secret, self._face)

    def close(self) -> None:
        """Let others have their turn."""
        self._held.close()


def _held_until_s(face: Face, mine: Standing, other: Standing) -> float:
    until_s = -inf
    if mine.refused_mono_s is not None and (other.taken_mono_s or -inf) <= mine.refused_mono_s:
        until_s = mine.refused_mono_s + _delay_s(face, mine, other)
    if other.refused_mono_s is not None and mine.taken_mono_s is None:
        until_s = max(until_s, other.refused_mono_s + BACK_OFF_S)
    return until_s


def _delay_s(face: Face, mine: Standing, other: Standing) -> float:
    if _is_in_doubt(mine, other):
        return GOOD_LOGIN_RETRY_S if _of_both(mine, other) == 1 else SETTLED_S
    if face is Face.ONVIF:
        return ONVIF_RETRY_S
    soon = 0 if mine.taken_mono_s is None else _MOST_DOUBTED
    times = max(0, mine.times - 1 - soon)
    return min(VIDEO_RETRY_CAP_S, VIDEO_RETRY_S * 2.0 ** min(times, 10))


def _is_in_doubt(mine: Standing, other: Standing) -> bool:
    is_new = mine.times <= _MOST_DOUBTED and _of_both(mine, other) <= _MOST_OF_BOTH
    return mine.taken_mono_s is not None and is_new and mine.why != LOCKED_OUT


def _of_both(mine: Standing, other: Standing) -> int:
    return mine.times + (0 if other.taken_mono_s is None else other.times)


def _is_news(mine: Standing, other: Standing, now_s: float) -> bool:
    """Say whether it changes anything that this face has taken it now."""
    if mine.taken_mono_s is None or mine.refused_mono_s is not None:
        return True
    refused_s = other.refused_mono_s
    return (
        refused_s is not None
        and other.taken_mono_s is not None
        and other.times <= _MOST_VOUCHED
        and mine.taken_mono_s <= refused_s <= now_s - SETTLED_S
    )
