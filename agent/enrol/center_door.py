"""The center's HTTPS service for enrolment, as a box calls it. Blocks: call it in a thread."""

import hashlib
import http.client
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from agent.contract.enrolment import MAX_BYTES, NONCE_PATH, Answer, Nonce
from agent.core.errors import EnrolError

TIMEOUT_S = 20.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Trust:
    """How the center proves itself: by an authority's file, by a pin, else a public authority.

    `pin` is the SHA-256 of the server's certificate in hex; colons don't matter. `ours` is the
    certificate and key with which the box proves itself, once it has them.
    """

    ca_file: Path | None = None
    pin: str = ""
    ours: tuple[Path, Path] | None = None


class CenterDoor:
    """One center's address and how it is trusted."""

    def __init__(self, url: str, trust: Trust) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise EnrolError(
                "enrol.address",
                f"`{url}` is no address to enrol at.",
                hint="Write `https://host` or `https://host:port`.",
            )
        self.url = url.rstrip("/")
        self._host, self._port, self._base = parts.hostname, parts.port, parts.path.rstrip("/")
        self._trust = trust

    def nonce(self) -> str:
        """Return a fresh nonce. Raises `EnrolError`."""
        return self._post(NONCE_PATH, b"{}", Nonce).nonce

    def ask(self, path: str, question: msgspec.Struct) -> Answer:
        """Return the center's answer. Raises `EnrolError`."""
        return self._post(path, msgspec.json.encode(question), Answer)

    def _post(self, path: str, body: bytes, kind: type[T]) -> T:
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=TIMEOUT_S, context=self._context()
        )
        try:
            connection.connect()
            self._check_pin(connection)
            headers = {"Content-Type": "application/json"}
            connection.request("POST", self._base + path, body=body, headers=headers)
            content = connection.getresponse().read(MAX_BYTES)
        except ssl.SSLError as error:
            raise _tls(f"The center at {self.url} is not trusted: {error.reason}.") from error
        except (OSError, http.client.HTTPException) as error:
            raise EnrolError(
                "enrol.unreachable",
                f"The center at {self.url} does not answer: {error}.",
                hint="Check the network and the address.",
                retryable=True,
            ) from error
        finally:
            connection.close()
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.MsgspecError as error:
            raise EnrolError(
                "enrol.not_a_center",
                f"What answers at {self.url} is no center.",
                hint="Check the address.",
                retryable=True,
            ) from error

    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self._trust.ca_file)
            if self._trust.ours is not None:
                context.load_cert_chain(*self._trust.ours)
        except (OSError, ValueError) as error:
            raise _tls(f"The certificates for the center can't be used: {error}.") from error
        if self._trust.pin:  # checked by `_check_pin`, before anything is said
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def _check_pin(self, connection: http.client.HTTPSConnection) -> None:
        if not self._trust.pin:
            return
        shown = connection.sock.getpeercert(binary_form=True)
        found = hashlib.sha256(shown or b"").hexdigest()
        if found != self._trust.pin.replace(":", "").strip().lower():
            raise _tls(f"The center at {self.url} shows a certificate with another pin, {found}.")


def _tls(message: str) -> EnrolError:
    return EnrolError(
        "enrol.tls",
        message,
        hint="Give the center's own authority (--ca) or pin (--pin), and check the box's clock.",
    )
