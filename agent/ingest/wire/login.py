"""Answers a camera's challenge: Basic (RFC 7617) and Digest (RFC 2617, 7616; MD5 and SHA-256)."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass

_FIELD = re.compile(r'([A-Za-z-]+)\s*=\s*(?:"([^"]*)"|([^\s,]+))')
_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}  # best last
_MOST_CHALLENGES = 8


@dataclass(frozen=True, slots=True)
class Challenge:
    """What one `WWW-Authenticate` asks for. `algorithm` is empty for Basic."""

    realm: str
    nonce: str = ""
    opaque: str | None = None
    algorithm: str = ""
    is_session: bool = False
    has_qop: bool = False
    is_stale: bool = False


class Login:
    """One connection's user name and password, and the nonce they are proven with."""

    def __init__(self, username: str, password: str) -> None:
        self._username, self._password = username, password
        self._challenge: Challenge | None = None
        self._count = 0

    def take(self, challenges: list[str]) -> bool:
        """Take a 401's challenges; return whether asking again makes sense.

        It does once, and again where only the nonce had grown old.
        """
        understood = [c for c in map(_read, challenges[:_MOST_CHALLENGES]) if c is not None]
        if not self._username or not understood:
            return False
        best = max(understood, key=lambda c: ["", *_HASHES].index(c.algorithm))
        if self._challenge is not None and self._challenge.algorithm and not best.algorithm:
            return False  # who took a digest gets no password in clear
        known, self._challenge, self._count = self._challenge, best, 0
        return known is None or (best.is_stale and best.nonce != known.nonce)

    @property
    def asked(self) -> Challenge | None:
        """What it is asked for; None while nobody asked."""
        return self._challenge

    def header(self, method: str, url: str) -> str | None:
        """Return the value of `Authorization` for a request; None before any challenge."""
        challenge = self._challenge
        if challenge is None:
            return None
        if not challenge.algorithm:
            login = f"{self._username}:{self._password}".encode()
            return "Basic " + base64.b64encode(login).decode()
        self._count += 1
        return _digest(challenge, self._username, self._password, method, url, self._count)


def _read(header: str) -> Challenge | None:
    scheme, _, rest = header.strip().partition(" ")
    fields = {name.lower(): quoted or bare for name, quoted, bare in _FIELD.findall(rest)}
    if "realm" not in fields:
        return None
    if scheme.lower() == "basic":
        return Challenge(fields["realm"])
    told = fields.get("algorithm", "MD5").upper()
    name = told.removesuffix("-SESS")
    offered = [word.strip() for word in fields.get("qop", "").split(",") if word.strip()]
    is_known = scheme.lower() == "digest" and name in _HASHES and fields.get("nonce")
    if not is_known or (offered and "auth" not in offered):
        return None
    return Challenge(
        fields["realm"],
        fields["nonce"],
        fields.get("opaque"),
        name,
        is_session=name != told,
        has_qop=bool(offered),
        is_stale=fields.get("stale", "").lower() == "true",
    )


def _digest(
    challenge: Challenge, username: str, password: str, method: str, url: str, count: int
) -> str:
    def hashed(text: str) -> str:
        # the camera chooses; MD5 is all that many know
        return _HASHES[challenge.algorithm](text.encode(), usedforsecurity=False).hexdigest()

    own, times = secrets.token_hex(8), f"{count:08x}"
    secret = hashed(f"{username}:{challenge.realm}:{password}")
    if challenge.is_session:
        secret = hashed(f"{secret}:{challenge.nonce}:{own}")
    action = hashed(f"{method}:{url}")
    middle = f"{challenge.nonce}:{times}:{own}:auth" if challenge.has_qop else challenge.nonce
    quoted = {
        "username": username.replace("\\", "\\\\").replace('"', '\\"'),
        "realm": challenge.realm,
        "nonce": challenge.nonce,
        "uri": url,
        "response": hashed(f"{secret}:{middle}:{action}"),
    }
    if challenge.opaque is not None:
        quoted["opaque"] = challenge.opaque
    if challenge.has_qop or challenge.is_session:
        quoted["cnonce"] = own
    text = ", ".join(f'{name}="{value}"' for name, value in quoted.items())
    session = "-sess" if challenge.is_session else ""
    text += f", algorithm={challenge.algorithm}{session}"
    return f"Digest {text}, qop=auth, nc={times}" if challenge.has_qop else f"Digest {text}"
