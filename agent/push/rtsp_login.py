"""How a publisher shows its token to a relay: Digest where it asks for that, else Basic.

RFC 7617 (Basic), RFC 7616 and RFC 2617 (Digest; MD5 is what relays still speak, SHA-256 better).
"""

import base64
import hashlib
import re
import secrets

USER = "grant"
_FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')
_HASHES = {"md5": "md5", "sha-256": "sha256"}


class Login:
    """One connection's answer to the relay's challenge."""

    def __init__(self, token: str, user: str = USER) -> None:
        self._token, self._user = token, user
        self._scheme, self._asked = "", dict[str, str]()
        self._count = 0

    def challenged(self, challenges: list[str]) -> bool:
        """Take what `WWW-Authenticate` says; False when there is nothing to answer with."""
        if not self._token or self._scheme:
            return False
        offers = [
            (one.partition(" ")[0].lower(), _fields(one.partition(" ")[2])) for one in challenges
        ]
        digests = [told for name, told in offers if name == "digest" and _hash_of(told)]
        digests.sort(key=lambda told: _hash_of(told) != "sha256")
        if digests:
            self._scheme, self._asked = "digest", digests[0]
        elif any(name == "basic" for name, _ in offers) or not challenges:
            self._scheme = "basic"
        return bool(self._scheme)

    def header(self, method: str, uri: str) -> str:
        """Return the value of `Authorization`, "" before the relay has asked."""
        if self._scheme == "basic":
            return "Basic " + base64.b64encode(f"{self._user}:{self._token}".encode()).decode()
        return self._digest(method, uri) if self._scheme else ""

    def _digest(self, method: str, uri: str) -> str:
        told, kind = self._asked, _hash_of(self._asked)

        def digest(text: str) -> str:
            return hashlib.new(kind, text.encode(), usedforsecurity=False).hexdigest()

        realm, nonce = told.get("realm", ""), told.get("nonce", "")
        secret, action = digest(f"{self._user}:{realm}:{self._token}"), digest(f"{method}:{uri}")
        parts = {"username": self._user, "realm": realm, "nonce": nonce, "uri": uri}
        plain = ""
        if "auth" in re.split(r"[,\s]+", told.get("qop", "")):
            self._count += 1
            count, own = f"{self._count:08x}", secrets.token_hex(8)
            parts |= {"response": digest(f"{secret}:{nonce}:{count}:{own}:auth:{action}")}
            parts |= {"cnonce": own}
            plain = f", qop=auth, nc={count}"
        else:
            parts |= {"response": digest(f"{secret}:{nonce}:{action}")}
        for name in ("opaque", "algorithm"):
            if name in told:
                parts[name] = told[name]
        return "Digest " + ", ".join(f'{name}="{text}"' for name, text in parts.items()) + plain


def _fields(text: str) -> dict[str, str]:
    return {name.lower(): quoted or bare for name, quoted, bare in _FIELD.findall(text)}


def _hash_of(told: dict[str, str]) -> str:
    return _HASHES.get(told.get("algorithm", "MD5").lower(), "")
