"""The two ways an ONVIF camera takes a password: HTTP digest, and a WS-Security UsernameToken.

Both are written from their standards and keep no secret state between calls except a server's
nonce, so that two threads can log in at once.
"""

import base64
import hashlib
import secrets
import threading
from datetime import datetime
from urllib.parse import urlsplit
from urllib.request import parse_http_list, parse_keqv_list

from lxml import etree

from agent.cameras.port import Login

SOAP_NS = "http://www.w3.org/2003/05/soap-envelope"
_WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
_WSSE_NS = f"{_WSS}-wssecurity-secext-1.0.xsd"
_WSU_NS = f"{_WSS}-wssecurity-utility-1.0.xsd"
_DIGEST_TYPE = f"{_WSS}-username-token-profile-1.0#PasswordDigest"
_BASE64_TYPE = f"{_WSS}-soap-message-security-1.0#Base64Binary"
_MAX_REALM = 128
_HASHES = {"SHA-256": hashlib.sha256, "MD5": hashlib.md5}  # strongest first


def password_digest(nonce: bytes, created: str, password: str) -> str:
    """Return PasswordDigest of the WSS UsernameToken Profile 1.0, section 3.1."""
    digest = hashlib.sha1(nonce + created.encode() + password.encode())  # noqa: S324
    return base64.b64encode(digest.digest()).decode()


def with_username_token(envelope: bytes, login: Login, camera_now: datetime) -> bytes:
    """Return a SOAP envelope with a fresh token; `camera_now` is UTC by the camera's clock.

    `Created` ends with `Z`, because some Hikvision firmware refuses `+00:00`.
    """
    nonce, created = secrets.token_bytes(16), camera_now.strftime("%Y-%m-%dT%H:%M:%SZ")
    root = etree.fromstring(envelope, etree.XMLParser(resolve_entities=False, no_network=True))
    header = root.find(f"{{{SOAP_NS}}}Header")
    if header is None:
        header = etree.Element(f"{{{SOAP_NS}}}Header")
        root.insert(0, header)
    security = etree.SubElement(
        header, f"{{{_WSSE_NS}}}Security", nsmap={"wsse": _WSSE_NS, "wsu": _WSU_NS}
    )
    security.set(f"{{{SOAP_NS}}}mustUnderstand", "1")
    token = etree.SubElement(security, f"{{{_WSSE_NS}}}UsernameToken")
    etree.SubElement(token, f"{{{_WSSE_NS}}}Username").text = login.username
    password = etree.SubElement(token, f"{{{_WSSE_NS}}}Password", Type=_DIGEST_TYPE)
    password.text = password_digest(nonce, created, login.password)
    nonce_element = etree.SubElement(token, f"{{{_WSSE_NS}}}Nonce", EncodingType=_BASE64_TYPE)
    nonce_element.text = base64.b64encode(nonce).decode()
    etree.SubElement(token, f"{{{_WSU_NS}}}Created").text = created
    whole: bytes = etree.tostring(root, xml_declaration=True, encoding="utf-8")
    return whole


def realm_of(challenges: tuple[str, ...]) -> str:
    """Return the realm that a login is asked for, empty when none is told."""
    for challenge in challenges:
        parts = [part for part in parse_http_list(challenge.partition(" ")[2]) if "=" in part]
        for part in parts:
            name, _, value = part.partition("=")
            if name.strip().lower() == "realm":
                return value.strip().strip('"')[:_MAX_REALM]
    return ""


class DigestChallenge:
    """What a server asked for in `WWW-Authenticate: Digest` (RFC 7616); answers many requests."""

    def __init__(
        self,
        realm: str,
        nonce: str,
        algorithm: str,
        opaque: str,
        *,
        has_qop: bool,
        is_stale: bool = False,
    ) -> None:
        """`is_stale`: the login before was right, and only its nonce too old."""
        self.nonce, self.is_stale = nonce, is_stale
        self.algorithm = algorithm
        self._realm, self._opaque = realm, opaque
        self._has_qop = has_qop
        self._count = 0
        self._lock = threading.Lock()

    @classmethod
    def best_of(cls, challenges: tuple[str, ...]) -> "DigestChallenge | None":
        """Pick the strongest digest we can answer from all `WWW-Authenticate` headers."""
        found = [c for text in challenges if (c := cls._parse(text)) is not None]
        order = list(_HASHES)
        return min(found, key=lambda c: order.index(c.algorithm), default=None)

    @classmethod
    def _parse(cls, text: str) -> "DigestChallenge | None":
        scheme, _, rest = text.strip().partition(" ")
        if scheme.lower() != "digest":
            return None
        parts = [item for item in parse_http_list(rest) if "=" in item]
        try:
            fields = {key.lower(): value for key, value in parse_keqv_list(parts).items()}
        except (IndexError, ValueError):  # a value that is missing
            return None
        algorithm = fields.get("algorithm", "MD5").upper()
        qops = [qop.strip() for qop in fields.get("qop", "").split(",")]
        if (
            algorithm not in _HASHES
            or "nonce" not in fields
            or (qops != [""] and "auth" not in qops)
        ):
            return None
        return cls(
            fields.get("realm", ""),
            fields["nonce"],
            algorithm,
            fields.get("opaque", ""),
            has_qop="auth" in qops,
            is_stale=fields.get("stale", "").lower() == "true",
        )

    def authorization(self, login: Login, url: str, method: str = "POST") -> str:
        """Return the `Authorization` header of one request to `url`."""
        parts = urlsplit(url)
        uri = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if parts.scheme == "rtsp":  # there the request line has the whole address
            uri = url
        with self._lock:
            self._count += 1
            count = f"{self._count:08x}"
        client_nonce = secrets.token_hex(8)
        secret = self._hash(f"{login.username}:{self._realm}:{login.password}")
        request = self._hash(f"{method}:{uri}")
        middle = f"{self.nonce}:{count}:{client_nonce}:auth" if self._has_qop else self.nonce
        fields = {
            "username": login.username,
            "realm": self._realm,
            "nonce": self.nonce,
            "uri": uri,
            "response": self._hash(f"{secret}:{middle}:{request}"),
        }
        if self._opaque:
            fields["opaque"] = self._opaque
        header = ", ".join(f'{key}="{_quoted(value)}"' for key, value in fields.items())
        header += f", algorithm={self.algorithm}"
        if self._has_qop:
            header += f', qop=auth, nc={count}, cnonce="{client_nonce}"'
        return f"Digest {header}"

    def _hash(self, text: str) -> str:
        return _HASHES[self.algorithm](text.encode()).hexdigest()


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
