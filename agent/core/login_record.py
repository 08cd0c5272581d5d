"""What one camera thought of logins: a small file that all processes of the box read and write.

The secret itself is not in it, but a salted hash of host, user name and password. It survives
crash and power cut (a boot in between counts as the moment of whatever was before it); where the
disk takes nothing each process remembers for itself. Used in threads.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, structs

from agent.core.clock import Clock, boot_id
from agent.core.errors import StorageError
from agent.core.lock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REFUSED = "camera.wrong_password"
_MOST_SECRETS = 4
_SIZE_BYTES = 2048  # always: written in place, it needs no room on a full disk
_WRITE_S = 1.0


class Face(StrEnum):
    """The side of a camera that is logged in to."""

    ONVIF = "onvif"
    VIDEO = "video"

    @property
    def other(self) -> Face:
        return Face.VIDEO if self is Face.ONVIF else Face.ONVIF


@dataclass(frozen=True, slots=True)
class Secret:
    """A login at a host."""

    host: str
    username: str
    password: str = field(repr=False)


class Standing(Struct, frozen=True, omit_defaults=True):
    """What one face thinks of a secret: taken (first, and again after a refusal), refused, when.

    `stop_mono_s`: when a Stop tried it although it was refused.
    """

    taken_mono_s: float | None = None
    refused_mono_s: float | None = None
    times: int = 0  # refused in a row
    why: str = REFUSED
    stop_mono_s: float | None = None


class _Content(Struct, frozen=True, omit_defaults=True):
    boot: str = ""
    salt: str = ""
    known: dict[str, dict[Face, Standing]] = {}


class LoginRecord:
    """One camera's. Without a file, or where it can't be written, known to this object alone."""

    def __init__(self, clock: Clock, file: Path | None = None) -> None:
        self._clock, self._file = clock, file
        self._kept = _Content(boot=boot_id(), salt=secrets.token_hex(16))
        self._is_on_disk = file is not None
        self._turns, self._changing = threading.Lock(), threading.Lock()

    def standings(self, secret: Secret) -> dict[Face, Standing]:
        """Return what the faces think of it; empty where nobody tried it."""
        content = self._read()
        return content.known.get(_mark(content, secret), {})

    def change(self, secret: Secret, face: Face, make: Callable[[Standing], Standing]) -> None:
        """Put what `make` makes of a face's standing in its place."""
        with self._changing, ExitStack() as locked:
            if self._file is not None:
                with suppress(OSError, StorageError):  # who stands still there stops nobody
                    self._file.parent.mkdir(parents=True, exist_ok=True)
                    locked.enter_context(FileLock(self._file, self._clock, patience_s=_WRITE_S))
            content = self._read()
            mark = _mark(content, secret)
            known = dict(content.known)
            faces = known.pop(mark, {})
            known[mark] = {**faces, face: make(faces.get(face, Standing()))}
            newest = dict(list(known.items())[-_MOST_SECRETS:])
            self._kept = structs.replace(content, known=newest)
            self._is_on_disk = self._write(self._kept)

    def has_turn(self, patience_s: float, held: ExitStack) -> bool:
        """Wait for the one turn of all lines, which then is `held`; return whether it came."""
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

    def _read(self) -> _Content:
        content = self._kept
        if self._file is not None and self._is_on_disk:
            with suppress(OSError, msgspec.MsgspecError):
                content = msgspec.json.decode(self._file.read_bytes(), type=_Content)
        return content if content.boot == self._kept.boot else _since_this_boot(content, self._kept)

    def _write(self, content: _Content) -> bool:
        """Return whether it is on the disk now."""
        if self._file is None:
            return False
        try:
            handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return False
        try:
            os.pwrite(handle, msgspec.json.encode(content).ljust(_SIZE_BYTES), 0)
            os.fsync(handle)
        except OSError:
            return False
        finally:
            os.close(handle)
        return True


def _mark(content: _Content, secret: Secret) -> str:
    text = "\0".join((content.salt, secret.host, secret.username, secret.password))
    return hashlib.sha256(text.encode()).hexdigest()


def _since_this_boot(content: _Content, kept: _Content) -> _Content:
    """Return what an earlier boot knew: how long ago is unknown, but not after this one began."""

    def at(mono_s: float | None) -> float | None:
        return None if mono_s is None else 0.0

    known = {
        mark: {
            face: structs.replace(
                was,
                taken_mono_s=at(was.taken_mono_s),
                refused_mono_s=at(was.refused_mono_s),
                stop_mono_s=at(was.stop_mono_s),
            )
            for face, was in faces.items()
        }
        for mark, faces in content.known.items()
    }
    return structs.replace(content, boot=kept.boot, known=known)
