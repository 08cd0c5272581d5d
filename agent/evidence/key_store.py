"""Where the box's key lies, and its change for another one.

`keys/box-tpm2.json` when it is in the board's TPM, else `keys/box-p256.pem`; its public half beside
it. At the first start the TPM is taken where there is one. `rotate_key` changes over at any time,
beside a running agent too, whose processes take the new key at their next signature.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from agent.core.errors import StorageError
from agent.core.whole_file import write_whole
from agent.evidence import tpm_key
from agent.evidence.box_key import BoxKey, FileKey
from agent.evidence.handover import HANDOVERS_FILE, Handover, sign_handover
from agent.evidence.tpm_key import TpmBlob, TpmKey

KEY_FILE, TPM_FILE, PUBLIC_FILE = "box-p256.pem", "box-tpm2.json", "box-p256.jwk.json"
KeyKind = Literal["file", "tpm2"]


class KeyRing:
    """The box's key as it is now: read again when its file has changed. For one thread each."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._known: tuple[object, BoxKey] | None = None

    def key(self) -> BoxKey:
        """Return the key, made now when there is none. Raises `StorageError` evidence.key."""
        stamps = _stamps(self._data_dir)
        if self._known is None or self._known[0] != stamps:
            key = open_box_key(self._data_dir)
            self._known = (_stamps(self._data_dir), key)
        return self._known[1]


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a change of keys did."""

    old: BoxKey
    new: BoxKey
    handover: str


def open_box_key(data_dir: Path) -> BoxKey:
    """Return the box's key, made now when there is none. Raises `StorageError`.

    Several processes may come here at once at the first start: the first one's key stays.
    """
    try:
        if not _has_key(data_dir):
            with _changing(data_dir):
                if not _has_key(data_dir):
                    _put(data_dir, "file" if tpm_key.present_tcti() is None else "tpm2")
        key = _read(data_dir)
        public = data_dir / "keys" / PUBLIC_FILE
        if not public.exists():
            write_whole(public, msgspec.json.encode(key.public) + b"\n")
    except (OSError, ValueError, TypeError, msgspec.MsgspecError) as error:
        raise _bad_key(data_dir, error) from error
    return key


def load_box_key(data_dir: Path) -> BoxKey:
    """Return the key the agent made; never makes one. Raises `StorageError`."""
    try:
        return _read(data_dir)
    except (OSError, ValueError, TypeError, msgspec.MsgspecError) as error:
        raise _bad_key(data_dir, error) from error


def rotate_key(data_dir: Path, at: datetime, kind: KeyKind, by: str, reason: str) -> Rotation:
    """Make a new key and have the old one sign for it. Raises `StorageError`.

    The hand-over is on the disk before the key changes; the old private half is gone after it.
    """
    handover = ""
    try:
        with _changing(data_dir):
            old = _read(data_dir)

            def hand_over(new: BoxKey) -> None:
                nonlocal handover
                told = Handover(
                    old=old.public, new=new.public, at=at, kind=new.kind, by=by, reason=reason
                )
                handover = sign_handover(told, old)
                _append(data_dir / "keys" / HANDOVERS_FILE, handover)

            new = _put(data_dir, kind, before=hand_over)
    except (OSError, ValueError, TypeError, msgspec.MsgspecError) as error:
        raise _bad_key(data_dir, error) from error
    return Rotation(old, new, handover)


def _put(
    data_dir: Path, kind: KeyKind, before: Callable[[BoxKey], None] = lambda _: None
) -> BoxKey:
    """Make a key, tell `before` of it, and put it in the place of the one before."""
    keys = data_dir / "keys"
    new: BoxKey
    if kind == "tpm2":
        tcti = tpm_key.present_tcti()
        if tcti is None:
            raise _no_tpm()
        blob = tpm_key.make_blob(tcti)
        new = TpmKey(blob)
        before(new)
        write_whole(keys / TPM_FILE, msgspec.json.encode(blob), 0o600)
        (keys / KEY_FILE).unlink(missing_ok=True)
    else:
        new = FileKey.make()
        before(new)
        write_whole(keys / KEY_FILE, new.pem(), 0o600)
        (keys / TPM_FILE).unlink(missing_ok=True)
    write_whole(keys / PUBLIC_FILE, msgspec.json.encode(new.public) + b"\n")
    return new


def _read(data_dir: Path) -> BoxKey:
    """Return the key. While one takes the other's place, the TPM's counts."""
    keys = data_dir / "keys"
    with suppress(FileNotFoundError):
        return TpmKey(msgspec.json.decode((keys / TPM_FILE).read_bytes(), type=TpmBlob))
    return FileKey.read(keys / KEY_FILE)


def _has_key(data_dir: Path) -> bool:
    return any((data_dir / "keys" / name).exists() for name in (TPM_FILE, KEY_FILE))


def _stamps(data_dir: Path) -> tuple[object, ...]:
    return tuple(_stamp(data_dir / "keys" / name) for name in (TPM_FILE, KEY_FILE))


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns


@contextmanager
def _changing(data_dir: Path) -> Iterator[None]:
    folder = data_dir / "keys"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _append(path: Path, line: str) -> None:
    with path.open("a", encoding="ascii") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def _bad_key(data_dir: Path, error: Exception) -> StorageError:
    return StorageError(
        "evidence.key",
        f"The box's key in {data_dir / 'keys'} can't be used: {error}.",
        hint="Run as the agent's user (it makes the key at its first start), or restore the file.",
    )


def _no_tpm() -> StorageError:
    return StorageError(
        "evidence.no_tpm",
        "There is no TPM that could hold the box's key.",
        hint="Install tpm2-tools, and put the agent's user into group `tss`.",
    )
