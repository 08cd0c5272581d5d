"""Says why a TLS camera was not trusted: libav knows only "input/output error"."""

import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from agent.core.errors import CameraError
from agent.ingest.source import TlsTrust

RTSPS_PORT = 322


def tls_error(url: str, trust: TlsTrust, timeout_s: float) -> CameraError:
    """Shake hands once more and return what is wrong with the camera's certificate.

    Called after a failed try only. Code camera.tls, or camera.unreachable when TLS is not at fault.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or RTSPS_PORT
    if trust.ca_file and not Path(trust.ca_file).is_file():
        return _untrusted(f"the file of trusted authorities, {trust.ca_file}, is not there")
    try:
        context = ssl.create_default_context(cafile=trust.ca_file or None)
        if not trust.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection((host, port), timeout=timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=trust.host or host),
        ):
            pass
    except ssl.SSLCertVerificationError as error:
        return _untrusted(f"{host}: {error.verify_message}")
    except ssl.SSLError as error:
        return _untrusted(f"{host} does not speak TLS here ({error.reason or 'no answer'})")
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


def _untrusted(why: str) -> CameraError:
    return CameraError(
        "camera.tls",
        f"The camera's certificate is not trusted: {why}.",
        hint="Give `tls_ca_file` the authority that signed it, `tls_host` the name in it.",
        retryable=True,
    )
