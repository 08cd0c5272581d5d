"""The key of one PTZ lease: agreed on by X25519, it signs the steps (see `agent.contract.ptz`).

Both ends use this: the box for the lease it grants, the stand-in center for the one it asks for.
"""

import base64
import binascii
from dataclasses import dataclass, field

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from agent.contract.ptz import STEP_ALGORITHM, STEP_KEY_INFO, PtzStep
from agent.core.errors import CommandError

_STEP_KEY_BYTES = 32
_step = msgspec.json.Decoder(PtzStep)


class _Header(msgspec.Struct):
    alg: str = ""
    kid: str = ""


@dataclass(frozen=True, slots=True)
class KeyOffer:
    """One side's fresh key pair; `public` goes to the other side."""

    private: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)

    @property
    def public(self) -> str:
        """The public half, base64url without padding."""
        return base64.urlsafe_b64encode(self.private.public_key().public_bytes_raw()).decode()[:43]

    def step_key(self, other: str, lease: str) -> OctKey:
        """Return the key both sides come to. Raises `CommandError` for a key that is none."""
        try:
            peer = X25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(other + "="))
            shared = self.private.exchange(peer)
        except (ValueError, binascii.Error) as error:
            raise CommandError("ptz.bad_key", "The lease's `key` is no X25519 key.") from error
        derived = HKDF(SHA256(), _STEP_KEY_BYTES, lease.encode(), STEP_KEY_INFO).derive(shared)
        return OctKey.import_key(derived)


def sign_step(step: PtzStep, lease: str, key: OctKey) -> bytes:
    """Return the step as a JWS in compact form."""
    header = {"alg": STEP_ALGORITHM, "kid": lease}
    return jws.serialize_compact(
        header, msgspec.json.encode(step), key, algorithms=[STEP_ALGORITHM]
    ).encode()


def read_step(token: bytes, key: OctKey, after_seq: int) -> PtzStep:
    """Return the step if it was signed with this lease's key and is new. Raises `CommandError`."""
    try:
        payload = jws.deserialize_compact(token, key, algorithms=[STEP_ALGORITHM]).payload
        step = _step.decode(payload)
    except (JoseError, ValueError, TypeError) as error:  # msgspec's errors are ValueErrors
        raise CommandError("ptz.bad_step", "It is not signed with the lease's key.") from error
    if step.seq <= after_seq:
        raise CommandError("ptz.replayed", f"Step {step.seq} came after {after_seq}.")
    return step


def lease_of(token: bytes) -> str:
    """Return the lease a step names, "" when it is no step."""
    try:
        part = token.split(b".", 1)[0]
        header = msgspec.json.decode(
            base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)), type=_Header
        )
    except (binascii.Error, msgspec.MsgspecError, RecursionError):
        return ""
    return header.kid if header.alg == STEP_ALGORITHM else ""


def is_step(token: bytes) -> bool:
    """Say whether a message on `dn/cmd` is a step: no order is ever signed with HS256."""
    return lease_of(token) != ""
