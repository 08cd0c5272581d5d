"""One camera's login, tried by one line at a time and remembered by all of them, over any restart.

A camera that is told a wrong password a few times locks its user out, whoever of us said it: the
core over ONVIF, its worker over RTSP (main, sub, loudspeaker). So they share one small record a
camera (in the data folder) of what it thought of a secret. The secret itself is not in it, but a
salted hash of host, user name and password: another password, or another host, is another matter,
and is tried at once.

**One try** is a login sent until the camera has said what it thinks of it. Over RTSP and for a
picture that is one message. Over ONVIF it is one too, or two, once for each secret: a digest, and
where no digest was ever taken a token after it, for cameras that know only the users of the token.
A nonce grown old is not a refusal of the secret.

**Who may try.** A secret that this face (ONVIF, or video) of the camera has taken before may be
used by all lines; those of the video let one go first, for a moment, so that main and sub do not
both try what was changed at the camera. Any other is tried by one line alone; the others wait for
their turn, and then go by what came of it:

- refused here: not again for `ONVIF_RETRY_S`, or `VIDEO_RETRY_S` and then more and more rarely.
  One that the video took before is tried once more a moment later, unless ONVIF refuses it too: a
  camera that starts up refuses everybody.
- refused by the other face: not for `BACK_OFF_S`, but only while this face has never taken it. Many
  cameras have users of their own for ONVIF: what works is never stopped by what does not, so a
  refusal over ONVIF stops no recording, and one over RTSP no Stop and no bell.
- taken by the other face after it was refused here: tried at once, somebody has put it right. What
  this face took before is tried so after its first refusals alone, and not within `SETTLED_S`:
  where the two have passwords of their own, one that works says nothing of the other.
- asked for where none is in the settings: nothing was sent, so it is asked again soon.

So a wrong password costs one try in five minutes, and each face has its turn. Which is first is
left to who asks: the core lets the video go first with a new secret (`agent.app.camera_place`).

The record survives crash and power cut (a boot in between counts as a refusal at its beginning);
where the disk takes nothing each process remembers for itself. Used in threads.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, structs

from agent.core.clock import Clock, boot_id
from agent.core.errors import CameraError, StorageError
from agent.core.lock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BACK_OFF_S = ONVIF_RETRY_S = 300.0
# Longer than ONVIF's, which asks by the minute: after a refusal by both it has its turn in between.
VIDEO_RETRY_S, VIDEO_RETRY_CAP_S, GOOD_LOGIN_RETRY_S = 375.0, 3600.0, 1.5
WAIT_S, TURN_S = 3.0, 10.0  # a line waits so long at once, and in all before it goes on alone
GOOD_TURN_S = 0.5  # with a login that is known to be good
SETTLED_S = 10.0  # by then a camera that starts up knows its users
NO_LOGIN_RETRY_S = 10.0
REFUSED = "camera.wrong_password"
FOLDER = "logins"
_MOST_DOUBTED = 2  # refusals in a row
_MOST_SECRETS = 4
_SIZE_BYTES = 2048  # always: written in place, it needs no room on a full disk
_WRITE_S = 1.0


class Face(StrEnum):
    """The side of a camera that is logged in to."""

    ONVIF = "onvif"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class Secret:
    """A login at a host."""

    host: str
    username: str
    password: str = field(repr=False)


class Standing(Struct, frozen=True, omit_defaults=True):
    """What one face thinks of a secret: taken (first, and again after a refusal), refused, when."""

    taken_mono_s: float | None = None
    refused_mono_s: float | None = None
    times: int = 0  # refused in a row
    why: str = REFUSED


class _Record(Struct, frozen=True, omit_defaults=True):
    boot: str = ""
    salt: str = ""
    known: dict[str, dict[Face, Standing]] = {}


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
        self._clock, self._file = clock, file
        self._kept = _Record(boot=boot_id(), salt=secrets.token_hex(16))
        self._is_on_disk = file is not None
        self._waiting_since_s: float | None = None
        self._turns, self._changing = threading.Lock(), threading.Lock()

    def trial(self, secret: Secret, face: Face) -> Trial:
        """Return a try for one line, to be begun when the camera asks for the login."""
        return Trial(self, secret, face)

    def now_s(self) -> float:
        """Return the time that it goes by."""
        return self._clock.monotonic_s()

    def is_new(self, secret: Secret) -> bool:
        """Say whether nobody has tried it yet."""
        return not any(self._standings(secret))

    def refusals(self, secret: Secret, face: Face) -> int:
        """Return how often this face refused it since it was taken last."""
        return self._standing(secret, face).times

    def left_s(self, secret: Secret, face: Face) -> float:
        """Return how long not to try it; 0: it may be tried."""
        mine = self._standing(secret, face)
        until_s = _held_until_s(face, mine, self._standing(secret, _other(face)))
        if not secret.username and mine.refused_mono_s is not None:
            until_s = min(until_s, mine.refused_mono_s + NO_LOGIN_RETRY_S)
        return max(0.0, until_s - self._clock.monotonic_s())

    def check(self, secret: Secret, face: Face) -> None:
        """Raise `LoginHeldError` where it is not to be tried now."""
        if left_s := self.left_s(secret, face):
            mine = self._standing(secret, face)
            told = mine if mine.refused_mono_s is not None else None
            why = (told or self._standing(secret, _other(face))).why
            raise LoginHeldError(why if face is Face.ONVIF else REFUSED, left_s)

    def is_good(self, secret: Secret, face: Face) -> bool:
        """Say whether this face has taken it, and not refused it since."""
        mine = self._standing(secret, face)
        return mine.taken_mono_s is not None and mine.refused_mono_s is None

    def taken(self, secret: Secret, face: Face) -> None:
        """The camera took it."""
        now_s, other = self._clock.monotonic_s(), self._standing(secret, _other(face))
        if _is_news(self._standing(secret, face), other, now_s):
            self._change(secret, face, lambda _: Standing(taken_mono_s=now_s))

    def refused(
        self, secret: Secret, face: Face, why: str = REFUSED, *, tried_s: float = inf
    ) -> None:
        """The camera refused it; `why` is the code that is told.

        `tried_s`: when it was tried. Two lines at the same time are as good as one.
        """
        now_s = self._clock.monotonic_s()

        def again(was: Standing) -> Standing:
            is_same = was.refused_mono_s is not None and tried_s <= was.refused_mono_s
            times = was.times + (not is_same)
            return structs.replace(was, refused_mono_s=now_s, times=times, why=why)

        self._change(secret, face, again)

    def forgiven(self, secret: Secret, face: Face) -> None:
        """Somebody who knows why it was refused has it tried again."""
        if self.refusals(secret, face):
            self._change(secret, face, lambda was: Standing(taken_mono_s=was.taken_mono_s))

    def wait_for_turn(self, patience_s: float, held: ExitStack) -> None:
        """Wait for the turn, which then is `held`, but not for ever. Raises `LoginBusyError`."""
        now_s = self._clock.monotonic_s()
        if self.has_turn(patience_s, held):
            self._waiting_since_s = None
            return
        if self._waiting_since_s is None:
            self._waiting_since_s = now_s
        if self._clock.monotonic_s() - self._waiting_since_s < TURN_S:
            raise LoginBusyError

    def has_turn(self, patience_s: float, held: ExitStack) -> bool:
        """Wait for the turn, which then is `held`; return whether it came."""
        if self._file is not None:
            lock = FileLock(self._file.with_suffix(".turn"), self._clock)
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                lock.acquire(patience_s)
            except StorageError:
                return False
            except OSError:
                pass  # no place for it: in turn at least in this process
            else:
                held.push(lock)
                return True
        if not self._turns.acquire(timeout=patience_s):
            return False
        held.callback(self._turns.release)
        return True

    def _standing(self, secret: Secret, face: Face) -> Standing:
        record = self._read()
        return record.known.get(_mark(record, secret), {}).get(face, Standing())

    def _standings(self, secret: Secret) -> list[Standing]:
        record = self._read()
        return list(record.known.get(_mark(record, secret), {}).values())

    def _change(self, secret: Secret, face: Face, make: Callable[[Standing], Standing]) -> None:
        with self._changing, ExitStack() as locked:
            if self._file is not None:
                with suppress(OSError, StorageError):  # who stands still there stops nobody
                    self._file.parent.mkdir(parents=True, exist_ok=True)
                    locked.enter_context(FileLock(self._file, self._clock, patience_s=_WRITE_S))
            record = self._read()
            mark = _mark(record, secret)
            known = dict(record.known)
            faces = known.pop(mark, {})
            known[mark] = {**faces, face: make(faces.get(face, Standing()))}
            newest = dict(list(known.items())[-_MOST_SECRETS:])
            self._kept = structs.replace(record, known=newest)
            self._is_on_disk = self._write(self._kept)

    def _read(self) -> _Record:
        record = self._kept
        if self._file is not None and self._is_on_disk:
            with suppress(OSError, msgspec.MsgspecError):
                record = msgspec.json.decode(self._file.read_bytes(), type=_Record)
        return record if record.boot == self._kept.boot else _since_this_boot(record, self._kept)

    def _write(self, record: _Record) -> bool:
        """Return whether it is on the disk now."""
        if self._file is None:
            return False
        try:
            handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            os.pwrite(handle, msgspec.json.encode(record).ljust(_SIZE_BYTES), 0)
            os.fsync(handle)
        except OSError:
            return False
        finally:
            os.close(handle)
        return True


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

    def begin(self, patience_s: float = WAIT_S) -> None:
        """Wait until the login may be sent. Raises `LoginHeldError`, `LoginBusyError`."""
        if not self._tries.is_good(self._secret, self._face):
            self._tries.wait_for_turn(patience_s, self._held)
        elif self._face is Face.VIDEO:  # not ONVIF: a Stop can't wait
            self._tries.has_turn(min(patience_s, GOOD_TURN_S), self._held)
        try:
            self._tries.check(self._secret, self._face)
        except LoginHeldError:
            self.close()
            raise
        self._tried_s = self._tries.now_s()

    def taken(self) -> None:
        """The camera took the login."""
        self._tries.taken(self._secret, self._face)
        self.close()

    def refused(self, why: str = REFUSED) -> None:
        """The camera refused it."""
        self._tries.refused(self._secret, self._face, why, tried_s=self._tried_s)
        self.close()

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
    if face is Face.ONVIF:
        return ONVIF_RETRY_S
    was_good = mine.taken_mono_s is not None
    if was_good and mine.times == 1 and other.refused_mono_s is None:
        return GOOD_LOGIN_RETRY_S
    times = max(0, mine.times - 1 - was_good)
    return min(VIDEO_RETRY_CAP_S, VIDEO_RETRY_S * 2.0 ** min(times, 10))


def _is_news(mine: Standing, other: Standing, now_s: float) -> bool:
    """Say whether it changes anything that this face has taken it now."""
    if mine.taken_mono_s is None or mine.refused_mono_s is not None:
        return True
    refused_s = other.refused_mono_s
    return (
        refused_s is not None
        and other.taken_mono_s is not None
        and other.times <= _MOST_DOUBTED
        and mine.taken_mono_s <= refused_s <= now_s - SETTLED_S
    )


def _other(face: Face) -> Face:
    return Face.VIDEO if face is Face.ONVIF else Face.ONVIF


def _mark(record: _Record, secret: Secret) -> str:
    text = "\0".join((record.salt, secret.host, secret.username, secret.password))
    return hashlib.sha256(text.encode()).hexdigest()


def _since_this_boot(record: _Record, kept: _Record) -> _Record:
    """Return what an earlier boot knew: how long ago is unknown, but not after this one began."""

    def at(mono_s: float | None) -> float | None:
        return None if mono_s is None else 0.0

    known = {
        mark: {
            face: structs.replace(
                was, taken_mono_s=at(was.taken_mono_s), refused_mono_s=at(was.refused_mono_s)
            )
            for face, was in faces.items()
        }
        for mark, faces in record.known.items()
    }
    return structs.replace(record, boot=kept.boot, known=known)
