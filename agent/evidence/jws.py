"""JSON Web Signatures in compact form (RFC 7515), ES256, with the signing key inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import Struct

from agent.evidence.box_key import BoxKey, PublicKey, b64, unb64


class _Header(Struct, frozen=True, kw_only=True):
    alg: Literal["ES256"] = "ES256"
    typ: str
    kid: str
    jwk: PublicKey


@dataclass(frozen=True, slots=True)
class Opened:
    """A token's content, who claims to have signed it, and whether that is true."""

    typ: str
    payload: bytes
    key: PublicKey
    is_signed: bool


def sign(typ: str, payload: bytes, key: BoxKey) -> bytes:
    """Return the compact JWS."""
    header = _Header(typ=typ, kid=key.public.fingerprint, jwk=key.public)
    text = f"{b64(msgspec.json.encode(header))}.{b64(payload)}"
    return f"{text}.{b64(key.sign(text.encode()))}".encode()


def open_token(token: bytes) -> Opened:
    """Read a compact JWS. Raises `ValueError` or `msgspec.MsgspecError` when it can't be read."""
    text, _, signature = token.decode("ascii").rpartition(".")
    head, _, body = text.partition(".")
    header = msgspec.json.decode(unb64(head), type=_Header)
    is_signed = header.jwk.verifies(unb64(signature), text.encode())
    return Opened(header.typ, unb64(body), header.jwk, is_signed)
