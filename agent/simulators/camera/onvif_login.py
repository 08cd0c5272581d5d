"""Who may call a simulated camera: HTTP digest (RFC 7616) and WS-UsernameToken, both checked.

ONVIF Core, "Authentication": a device that takes digest answers a call without login with 401 and
a challenge; a refused token gets 400 and `ter:NotAuthorized`.
"""

import base64
import binascii
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto

from lxml import etree

from agent.simulators.camera.onvif_http import HttpRequest

_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')
_WINDOW_S = 300.0
_WSSE = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd}"
_WSU = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd}"


class Verdict(Enum):
    """What a request's login is worth."""

    GOOD = auto()
    NONE = auto()  # no login was shown
    STALE = auto()  # right, with a nonce that is too old
    BAD_DIGEST = auto()
    BAD_TOKEN = auto()


@dataclass(slots=True)
class LoginCheck:
    """One camera's door. `takes` may be narrowed to ("digest",) or ("token",).

    `refuses_next`: so many right logins are refused, as while it starts up; `stale_next`: so many
    right digests are asked for again with another nonce.
    """

    username: str
    password: str
    takes: tuple[str, ...] = ("digest", "token")
    realm: str = "simulated-camera"
    refused_total: int = 0
    nonce_once: bool = False
    refuses_digest: bool = False
    refuses_next: int = 0
    stale_next: int = 0
    _nonces: dict[str, int] = field(default_factory=dict)
    _seen_tokens: set[str] = field(default_factory=set)

    def judge(self, request: HttpRequest, envelope: etree._Element, now: datetime) -> Verdict:
        """Check a request at the camera's own time `now`."""
        if not self.username:
            return Verdict.GOOD
        authorization = request.headers.get("authorization", "")
        token = envelope.find(f".//{_WSSE}UsernameToken")
        verdict = Verdict.NONE
        if authorization.lower().startswith("digest ") and "digest" in self.takes:
            is_good = self._is_good_digest(authorization, request.method)
            is_good = is_good and not self.refuses_digest
            verdict = Verdict.GOOD if is_good else Verdict.BAD_DIGEST
        elif token is not None and "token" in self.takes:
            verdict = Verdict.GOOD if self._is_good_token(token, now) else Verdict.BAD_TOKEN
        verdict = self._in_its_mood(verdict, is_digest=token is None)
        if verdict in (Verdict.BAD_DIGEST, Verdict.BAD_TOKEN):
            self.refused_total += 1
        return verdict

    def _in_its_mood(self, verdict: Verdict, *, is_digest: bool) -> Verdict:
        if verdict is not Verdict.GOOD:
            return verdict
        if self.refuses_next:
            self.refuses_next -= 1
            return Verdict.BAD_DIGEST if is_digest else Verdict.BAD_TOKEN
        if self.stale_next and is_digest:
            self.stale_next -= 1
            return Verdict.STALE
        return verdict

    def opens_file(self, request: HttpRequest, way: str) -> bool:
        """Check a GET, by "digest", "basic" or "none"."""
        if way == "none" or not self.username:
            return True
        authorization = request.headers.get("authorization", "")
        if way == "basic":
            secret = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            return secrets.compare_digest(authorization, f"Basic {secret}")
        is_digest = authorization.lower().startswith("digest ")
        return is_digest and self._is_good_digest(authorization, request.method)

    def challenges(self, *, is_stale: bool = False) -> tuple[tuple[str, str], ...]:
        """Return `WWW-Authenticate` headers with a new nonce, or none for token-only cameras."""
        if "digest" not in self.takes:
            return ()
        nonce = secrets.token_hex(16)
        self._nonces[nonce] = 0
        more = ", stale=true" if is_stale else ""
        return tuple(
            (
                "WWW-Authenticate",
                f'Digest realm="{self.realm}", qop="auth", nonce="{nonce}", algorithm={algorithm}'
                f"{more}",
            )
            for algorithm in _HASHES
        )

    def _is_good_digest(self, authorization: str, method: str) -> bool:
        given = {
            name.lower(): quoted or bare for name, quoted, bare in _FIELD.findall(authorization)
        }
        make_hash = _HASHES.get(given.get("algorithm", "MD5"))
        nonce, count = given.get("nonce", ""), given.get("nc", "0")
        if make_hash is None or nonce not in self._nonces or int(count, 16) <= self._nonces[nonce]:
            return False
        self._nonces[nonce] = 0xFFFFFFFF if self.nonce_once else int(count, 16)

        def hashed(text: str) -> str:
            return make_hash(text.encode()).hexdigest()

        secret = hashed(f"{self.username}:{self.realm}:{self.password}")
        asked = hashed(f"{method}:{given.get('uri', '')}")
        middle = f"{nonce}:{count}:{given.get('cnonce', '')}:{given.get('qop', '')}"
        expected = hashed(f"{secret}:{middle}:{asked}")
        return given.get("username") == self.username and secrets.compare_digest(
            given.get("response", "").encode(), expected.encode()
        )

    def _is_good_token(self, token: etree._Element, now: datetime) -> bool:
        created = token.findtext(f"{_WSU}Created", "")
        nonce_text = token.findtext(f"{_WSSE}Nonce", "")
        try:
            stamp = datetime.fromisoformat(created)
            nonce = base64.b64decode(nonce_text, validate=True)
            age_s = abs((now - stamp).total_seconds())
        except (ValueError, TypeError, binascii.Error):
            return False
        if age_s > _WINDOW_S or nonce_text in self._seen_tokens:
            return False
        digest = hashlib.sha1(nonce + created.encode() + self.password.encode())  # noqa: S324
        is_good = token.findtext(f"{_WSSE}Username") == self.username and secrets.compare_digest(
            token.findtext(f"{_WSSE}Password", "").encode(), base64.b64encode(digest.digest())
        )
        if is_good:
            self._seen_tokens.add(nonce_text)
        return is_good
