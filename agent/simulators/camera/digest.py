"""How cameras ask for a login over RTSP: Digest of RFC 2617 with MD5 and no `qop`, or Basic."""

import re
import secrets
from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import md5

REALM = "poleside-simulated-camera"

_FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who may watch. An empty user name lets everyone in. `in_clear`: the password, by Basic."""

    username: str = ""
    password: str = field(default="", repr=False)
    realm: str = REALM
    in_clear: bool = False


class DigestGate:
    """Asks one connection for the password; its nonce is good for that connection only."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._nonce = secrets.token_hex(16)

    @property
    def challenge(self) -> str:
        """The value of `WWW-Authenticate`."""
        realm = self._credentials.realm
        if self._credentials.in_clear:
            return f'Basic realm="{realm}"'
        return f'Digest realm="{realm}", nonce="{self._nonce}"'

    def admits(self, method: str, authorization: str) -> bool:
        """Check an `Authorization` header against `method` (RFC 2617 section 3.2.2)."""
        if not self._credentials.username:
            return True
        scheme, _, rest = authorization.partition(" ")
        if self._credentials.in_clear:
            login = f"{self._credentials.username}:{self._credentials.password}".encode()
            return scheme.lower() == "basic" and rest == b64encode(login).decode()
        if scheme.lower() != "digest":
            return False
        given = {name.lower(): quoted or bare for name, quoted, bare in _FIELD.findall(rest)}
        secret = _md5(
            f"{self._credentials.username}:{self._credentials.realm}:{self._credentials.password}"
        )
        action = _md5(f"{method}:{given.get('uri', '')}")
        expected = _md5(f"{secret}:{self._nonce}:{action}")
        return given.get("username") == self._credentials.username and secrets.compare_digest(
            given.get("response", "").encode(), expected.encode()
        )


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()  # the protocol leaves no choice
