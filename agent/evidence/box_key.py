"""The box's own key: P-256, made on the box at first use, never leaves it.

A key held by a TPM or secure element takes the place of `FileKey` by offering the same `BoxKey`.
Signatures are 64 bytes r || s as in JWS ES256 (RFC 7518 section 3.4), so any JOSE tool checks them.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from msgspec import Struct

from agent.core.errors import StorageError

KEY_FILE, PUBLIC_FILE = "box-p256.pem", "box-p256.jwk.json"
_ES256 = ec.ECDSA(hashes.SHA256())
_COORDINATE_BYTES = 32


class PublicKey(Struct, frozen=True, kw_only=True):
    """A P-256 public key as a JSON Web Key (RFC 7517)."""

    x: str
    y: str
    kty: str = "EC"
    crv: str = "P-256"

    @property
    def fingerprint(self) -> str:
        """The key's thumbprint (RFC 7638): what people compare."""
        members = {"crv": self.crv, "kty": self.kty, "x": self.x, "y": self.y}
        return b64(hashlib.sha256(msgspec.json.encode(members)).digest())

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Say whether this key's other half signed `message`."""
        half = _COORDINATE_BYTES
        if len(signature) != 2 * half:
            return False
        r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        try:
            self.point().verify(encode_dss_signature(r, s), message, _ES256)
        except (InvalidSignature, ValueError):
            return False
        return True

    def point(self) -> ec.EllipticCurvePublicKey:
        """Return the key itself. Raises `ValueError` when it is no point of the curve."""
        x, y = (int.from_bytes(unb64(part), "big") for part in (self.x, self.y))
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


class BoxKey(Protocol):
    """What signs for this box."""

    @property
    def public(self) -> PublicKey: ...

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte ES256 signature of `message`."""
        ...


class FileKey:
    """A key in `{data_dir}/keys/`, readable by the agent alone."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private
        self.public = _public(private.public_key())

    def sign(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self._private.sign(message, _ES256))
        return r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")


def open_box_key(data_dir: Path) -> FileKey:
    """Return the box's key, made now when there is none. Raises `StorageError` evidence.key.

    Several processes may come here at once at the first start: the first one's key stays.
    """
    path = data_dir / "keys" / KEY_FILE
    try:
        if not path.exists():
            _make(path)
        key = _read(path)
        public = path.with_name(PUBLIC_FILE)
        if not public.exists():
            _write_new(public, msgspec.json.encode(key.public) + b"\n", 0o644)
    except (OSError, ValueError, TypeError) as error:
        raise _bad_key(path, error) from error
    return key


def load_box_key(data_dir: Path) -> FileKey:
    """Return the key the agent made; never makes one. Raises `StorageError` evidence.key."""
    path = data_dir / "keys" / KEY_FILE
    try:
        return _read(path)
    except (OSError, ValueError, TypeError) as error:
        raise _bad_key(path, error) from error


def load_public_key(path: Path) -> PublicKey:
    """Return the public key in a JWK or PEM file. Raises `StorageError` evidence.key_file."""
    try:
        text = path.read_bytes()
        if text.lstrip().startswith(b"{"):
            key = msgspec.json.decode(text, type=PublicKey)
            key.point()
            return key
        loaded = serialization.load_pem_public_key(text)
        if isinstance(loaded, ec.EllipticCurvePublicKey) and loaded.curve.name == "secp256r1":
            return _public(loaded)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise _bad_key_file(path, str(error)) from error
    raise _bad_key_file(path, "not P-256")


def b64(data: bytes) -> str:
    """Return base64url without padding, as in JWS."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Undo `b64`. Raises `ValueError`."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _public(key: ec.EllipticCurvePublicKey) -> PublicKey:
    numbers = key.public_numbers()
    x, y = (b64(value.to_bytes(_COORDINATE_BYTES, "big")) for value in (numbers.x, numbers.y))
    return PublicKey(x=x, y=y)


def _make(path: Path) -> None:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write_new(path, pem, 0o600)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that is whole or not there; one that exists already stays."""
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()


def _read(path: Path) -> FileKey:
    loaded = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey) or loaded.curve.name != "secp256r1":
        raise ValueError("not a P-256 key")
    return FileKey(loaded)


def _bad_key(path: Path, error: Exception) -> StorageError:
    return StorageError(
        "evidence.key",
        f"The box's key {path} can't be used: {error}.",
        hint="Run as the agent's user (it makes the key at its first start), or restore the file.",
    )


def _bad_key_file(path: Path, why: str) -> StorageError:
    return StorageError(
        "evidence.key_file",
        f"{path} holds no public P-256 key: {why}.",
        hint="Give the box's JWK (`poleside clip key`) or a PEM file.",
    )
