"""The box's own key: P-256, made on the box at first use, never leaves it.

Kept in a file here, in a TPM by `tpm_key`; `key_store` knows which it is.
Signatures are 64 bytes r || s as in JWS ES256 (RFC 7518 section 3.4), so any JOSE tool checks them.
"""

from __future__ import annotations

import base64
import hashlib
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

    @property
    def kind(self) -> str:
        """Where the private half lies: `file`, or `tpm2`, which it can't leave."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte ES256 signature of `message`."""
        ...


class FileKey:
    """A key in `{data_dir}/keys/`, readable by the agent alone."""

    kind = "file"

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private
        self.public = public_of(private.public_key())

    @classmethod
    def make(cls) -> FileKey:
        """Return a new key that lies nowhere yet."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def read(cls, path: Path) -> FileKey:
        """Return the key in a PEM file. Raises `OSError`, `ValueError` or `TypeError`."""
        loaded = serialization.load_pem_private_key(path.read_bytes(), None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey) or loaded.curve.name != "secp256r1":
            raise ValueError("not a P-256 key")
        return cls(loaded)

    def pem(self) -> bytes:
        """Return the private key as PEM, for its file."""
        return self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def sign(self, message: bytes) -> bytes:
        return plain_signature(self._private.sign(message, _ES256))


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
            return public_of(loaded)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise _bad_key_file(path, str(error)) from error
    raise _bad_key_file(path, "not P-256")


def b64(data: bytes) -> str:
    """Return base64url without padding, as in JWS."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Undo `b64`. Raises `ValueError`."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def public_of(key: ec.EllipticCurvePublicKey) -> PublicKey:
    """Return a key as JWK."""
    numbers = key.public_numbers()
    x, y = (b64(value.to_bytes(_COORDINATE_BYTES, "big")) for value in (numbers.x, numbers.y))
    return PublicKey(x=x, y=y)


def plain_signature(der: bytes) -> bytes:
    """Return r || s of a signature in DER. Raises `ValueError`."""
    r, s = decode_dss_signature(der)
    return r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")


def _bad_key_file(path: Path, why: str) -> StorageError:
    return StorageError(
        "evidence.key_file",
        f"{path} holds no public P-256 key: {why}.",
        hint="Give the box's JWK (`poleside clip key`) or a PEM file.",
    )
