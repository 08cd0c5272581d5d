"""The password that the box itself gave a camera; it counts instead of the one in the settings.

It counts only as long as the settings still hold the login it was given in place of: whoever
changes the password there is right again. One small file a camera, for the box's user alone,
written whole: the core writes it, the camera's worker reads it at each connection.
"""

import hashlib
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from agent.core.errors import SettingsError
from agent.core.whole_file import write_whole
from agent.settings.model import CameraSettings

FOLDER = "secrets"


class CameraSecret(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`instead_of` marks the login in the settings; `next_password` may be in force already."""

    instead_of: str
    password: str
    next_password: str = ""


def password_of(data_dir: Path | None, camera: CameraSettings) -> str:
    """Return the password in force, as far as it is known."""
    secret = _read(data_dir, camera)
    return camera.password if secret is None else secret.password


class PasswordFile:
    """One camera's passwords while they are changed; each step is on the disk when it returns."""

    def __init__(self, data_dir: Path | None, camera: CameraSettings) -> None:
        self._data_dir, self._camera_id = data_dir, camera.camera_id
        self._secret = _read(data_dir, camera) or CameraSecret(
            instead_of=_mark(camera), password=camera.password
        )

    @property
    def password(self) -> str:
        """What worked last."""
        return self._secret.password

    @property
    def pending(self) -> str:
        """Another one that the camera may have taken already; empty: there is none."""
        return self._secret.next_password

    def begin(self, password: str) -> None:
        """Keep `password` beside the one in force, before the camera hears of it."""
        self._write(structs.replace(self._secret, next_password=password))

    def settle(self, password: str) -> None:
        """Keep the one that works, forget the other."""
        self._write(structs.replace(self._secret, password=password, next_password=""))

    def _write(self, secret: CameraSecret) -> None:
        if self._data_dir is None:
            raise SettingsError("settings.no_place", "There is no folder to keep the password in.")
        file = _file(self._data_dir, self._camera_id)
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(file, msgspec.json.encode(secret), 0o600)
        except OSError as error:
            raise SettingsError(
                "settings.secret_not_kept",
                f"The camera's password can't be kept: {error.strerror}.",
                hint="Without a place on the disk no password is changed. See to the disk.",
            ) from error
        self._secret = secret


def _read(data_dir: Path | None, camera: CameraSettings) -> CameraSecret | None:
    if data_dir is None:
        return None
    try:
        content = _file(data_dir, camera.camera_id).read_bytes()
        secret = msgspec.json.decode(content, type=CameraSecret)
    except (OSError, msgspec.MsgspecError):
        return None
    return secret if secret.instead_of == _mark(camera) else None


def _mark(camera: CameraSettings) -> str:
    return hashlib.sha256(f"{camera.username}\0{camera.password}".encode()).hexdigest()


def _file(data_dir: Path, camera_id: str) -> Path:
    return data_dir / FOLDER / f"{camera_id}.json"
