"""How a new box proves itself once to the center and gets its certificate: JSON over HTTPS.

    POST {center}/enrol/v1/nonce      -> Nonce
    POST {center}/enrol/v1/request    Request -> Answer   (repeated until somebody approved)
    POST {center}/enrol/v1/renew      Renewal -> Answer

The code on the box's label (100 random bits) never travels, and the center doesn't keep it: both
derive a label (which box?) and a key (HMAC-SHA256). The key proves the box's request, and the
center's answer: who stands between them can put in neither a CSR nor an authority of his own.
"""

import base64
import hashlib
import hmac
import secrets
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from agent.contract.events import Slug

NONCE_PATH, REQUEST_PATH, RENEW_PATH = "/enrol/v1/nonce", "/enrol/v1/request", "/enrol/v1/renew"
MAX_BYTES = 64 * 1024
CODE_BITS = 100

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32: nothing to be misread
_CODE_CHARS, _GROUP_CHARS = 20, 5
_MISREAD = str.maketrans("OIL", "011", "- ")

Short = Annotated[str, Meta(max_length=128)]
Pem = Annotated[str, Meta(max_length=4096)]


class Standing(StrEnum):
    """How far a box has come."""

    WAITING = "waiting"  # the code is right; somebody at the center must approve
    APPROVED = "approved"
    REFUSED = "refused"  # see `code`


class Nonce(Struct, frozen=True, kw_only=True):
    """Good for one request, for a minute."""

    nonce: Short


class Request(Struct, frozen=True, kw_only=True):
    """A box that knows the code asks for a certificate for the key that signed `csr`."""

    label: Short
    nonce: Short
    box_nonce: Short
    csr: Pem
    proof: Short


class Renewal(Struct, frozen=True, kw_only=True):
    """A box asks for a new certificate for its key; `signature` is that key's (ECDSA, DER)."""

    nonce: Short
    csr: Pem
    signature: Short


class Grant(Struct, frozen=True, kw_only=True):
    """Everything a box needs to be part of the city."""

    site: Slug
    box: Slug
    certificate: str  # PEM, the box's own first, then what lies between it and the authority
    broker_ca: str  # PEM
    center_ca: str = ""  # PEM, who signs this HTTPS service; empty: a public authority
    center_keys: str  # JWKS: whose orders the box obeys
    broker_urls: Annotated[tuple[str, ...], Meta(min_length=1)]


class SignedGrant(Struct, frozen=True, kw_only=True):
    """The claims of a renewal's `signed`: a JWS in compact form, by a key in the box's JWKS.

    That key must be among `grant.center_keys` too. A box takes other authorities, keys and broker
    addresses from here alone, and goes back by itself when they do not carry it.
    """

    nonce: Short
    grant: Grant


class Answer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`grant` is a `Grant` as JSON text, so that `proof` covers its very bytes."""

    standing: Standing
    code: str = ""
    message: str = ""
    wait_s: Annotated[float, Meta(ge=0)] = 5.0
    grant: str = ""
    proof: str = ""
    signed: str = ""


def new_code() -> str:
    """Return a fresh code as it stands on the label: four groups of five."""
    value = secrets.randbits(CODE_BITS)
    text = "".join(_ALPHABET[(value >> (5 * place)) & 31] for place in range(_CODE_CHARS))
    return "-".join(text[at : at + _GROUP_CHARS] for at in range(0, _CODE_CHARS, _GROUP_CHARS))


class CodeKey(Struct, frozen=True):
    """What both sides derive from the code; neither it nor `label` gives the code away."""

    label: str
    key: bytes

    @classmethod
    def of(cls, code: str) -> "CodeKey":
        """Raises `ValueError` when `code` can't be one; case, spaces and dashes don't matter."""
        text = code.upper().translate(_MISREAD)
        if len(text) != _CODE_CHARS or not set(text) <= set(_ALPHABET):
            raise ValueError(f"a code has {_CODE_CHARS} letters and digits")
        secret = text.encode()
        return cls(_mac(secret, b"poleside label").hex()[:20], _mac(secret, b"poleside key"))

    def box_proof(self, nonce: str, box_nonce: str, csr: str) -> str:
        """Return what shows that the sender of `csr` knows the code, now."""
        return _text(_mac(self.key, b"box", nonce, box_nonce, csr))

    def center_proof(self, nonce: str, box_nonce: str, grant: str) -> str:
        """Return what shows that `grant` is from who knows the code, in answer to this request."""
        return _text(_mac(self.key, b"center", nonce, box_nonce, grant))


def renewal_message(nonce: str, csr: str) -> bytes:
    """Return what the box's key signs to renew its certificate."""
    return _joined(b"renew", nonce, csr)


def same(one: str, other: str) -> bool:
    """Compare proofs in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


def _mac(key: bytes, *parts: bytes | str) -> bytes:
    return hmac.digest(key, _joined(*parts), "sha256")


def _joined(*parts: bytes | str) -> bytes:
    """Hash each part, so that none can run over into the next."""
    raw = (part.encode() if isinstance(part, str) else part for part in parts)
    return b"".join(hashlib.sha256(part).digest() for part in raw)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
