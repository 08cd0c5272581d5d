"""Says why a TLS camera was not trusted: libav knows only "input/output error"."""

import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from agent.core.errors import CameraError
from agent.ingest.greeting import RTSPS_PORT
from agent.ingest.source import TlsTrust


def tls_error(url: str, trust: TlsTrust, timeout_s: float) -> CameraError:
    """Shake hands once more and return what is wrong with the camera's certificate.

    Called after a failed try only. Code camera.tls, or camera.unreachable when TLS is not at fault.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or RTSPS_PORT
    try:
        with (
            socket.create_connection((host, port), timeout=timeout_s) as plain,
            secured(plain, trust, host),
        ):
            pass
    except CameraError as error:
        return error
    except OSError as error:
        return CameraError(
            "camera.unreachable",
            f"{host} can't be reached: {error.strerror or error}.",
            hint="Check address, cable and power.",
            retryable=True,
        )
    return CameraError(
        "camera.unreachable",
        f"{host} shakes hands, then breaks the connection off.",
        hint="Restart the camera.",
        retryable=True,
    )


def tls_context(trust: TlsTrust) -> ssl.SSLContext:
    """Return what checks a camera's certificate as was said. Raises `CameraError` camera.tls."""
    if trust.ca_file and not Path(trust.ca_file).is_file():
        raise _untrusted(f"the file of trusted authorities, {trust.ca_file}, is not there")
    try:
        context = ssl.create_default_context(cafile=trust.ca_file or None)
    except ssl.SSLError:
        raise _untrusted(f"{trust.ca_file} holds no certificate") from None
    if not trust.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def secured(plain: socket.socket, trust: TlsTrust, host: str) -> ssl.SSLSocket:
    """Shake hands on a connection. Raises `CameraError` camera.tls, `OSError`."""
    try:
        return tls_context(trust).wrap_socket(plain, server_hostname=trust.host or host)
    except ssl.SSLError as error:
        raise _not_secured(host, error) from None


def _not_secured(host: str, error: ssl.SSLError) -> CameraError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(f"{host}: {error.verify_message}")
    return _untrusted(f"{host} does not speak TLS here ({error.reason or 'no answer'})")


def _untrusted(why: str) -> CameraError:
    return CameraError(
        "camera.tls",
        f"The camera's certificate is not trusted: {why}.",
        hint="Give `tls_ca_file` the authority that signed it, `tls_host` the name in it.",
        retryable=True,
    )
