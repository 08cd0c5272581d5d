"""Why a broker does not answer a box that shows a certificate: perhaps it is revoked, or over.

With TLS 1.3 a broker says so after the handshake, where the MQTT client only sees silence. In the
core process, after a connection that timed out.
"""

import socket
import ssl

from agent.core.errors import LinkError
from agent.settings.model import BrokerSettings
from agent.uplink.endpoint import Endpoint, tls_context

_CONNECT_S, _LISTEN_S = 5.0, 2.0


def certificate_refusal(endpoint: Endpoint, broker: BrokerSettings) -> LinkError | None:
    """Connect once more and listen; return the refusal, None when there is none. Blocks."""
    if not (endpoint.tls and broker.cert_file):
        return None
    context = tls_context(broker)
    try:
        with (
            socket.create_connection((endpoint.host, endpoint.port), _CONNECT_S) as plain,
            context.wrap_socket(plain, server_hostname=endpoint.host) as secured,
        ):
            secured.settimeout(_LISTEN_S)
            secured.recv(1)
    except ssl.SSLError as error:
        reason = error.reason or ""
        if "ALERT" not in reason:
            return None
        return LinkError(
            "link.certificate_refused",
            f"The broker at {endpoint} refuses this box's certificate: {reason}.",
            hint="Was the box replaced, or off for long? The center can enrol it with a new code.",
            retryable=True,
        )
    except OSError:
        return None
    return None
