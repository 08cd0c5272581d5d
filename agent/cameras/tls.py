"""How an https:// camera proves who it is: a trusted authority, or the one certificate we know.

Cameras sign their own certificates, so the usual proof is a pinned fingerprint. Core process.
"""

import hashlib
import socket
import ssl
from dataclasses import dataclass

from agent.cameras.port import CameraUnreachable

FINGERPRINT_S = 5.0


@dataclass(frozen=True, slots=True)
class CameraTls:
    """What is trusted. `fingerprint` (SHA-256, hex) alone decides when it is given.

    `host` is the name in the certificate where that is not the address; `ca_file` a PEM file with
    the authority that signed it, empty for the system's.
    """

    ca_file: str = ""
    host: str = ""
    fingerprint: str = ""
    verify: bool = True

    @property
    def is_vouched(self) -> bool:
        """Whether an authority vouches for the camera: then its certificate may be renewed."""
        return self.verify and not self.fingerprint


def fingerprint_of(host: str, port: int, *, timeout_s: float = FINGERPRINT_S) -> str:
    """Return the SHA-256 of the certificate a server shows, trusted or not, as lower-case hex."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=timeout_s) as plain,
            context.wrap_socket(plain) as line,
        ):
            certificate = line.getpeercert(binary_form=True) or b""
    except OSError as error:
        raise CameraUnreachable(f"no TLS answer from {host}:{port}") from error
    return hashlib.sha256(certificate).hexdigest()
