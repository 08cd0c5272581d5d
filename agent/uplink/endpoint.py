"""Where the broker is, how TLS to it is set up, and why it could not be reached, in words."""

import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiomqtt
from aiomqtt.exceptions import MqttConnectError

from agent.core.errors import LinkError
from agent.settings.model import BrokerSettings

_PORTS = {"mqtt": 1883, "mqtts": 8883}
# CONNACK codes, as MQTT 3.1.1 has them and as paho maps them to MQTT 5.
_BAD_CREDENTIALS = (4, 134)
_NOT_AUTHORISED = (5, 135)
_COME_LATER = (3, 136, 137, 151, 159)  # unavailable, busy, quota, too many connections


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of the broker."""

    host: str
    port: int
    tls: bool

    @classmethod
    def parse(cls, url: str) -> "Endpoint":
        """Read `mqtt://host[:port]` or `mqtts://…`. Raises `LinkError` `link.bad_url`."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise LinkError(
                "link.bad_url",
                f"`{url}` is no broker address.",
                hint="Write `mqtt://host:1883` or `mqtts://host:8883` in `broker.urls`.",
            )
        port = parts.port or _PORTS[parts.scheme]
        return cls(parts.hostname, port, parts.scheme == "mqtts")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


def tls_context(broker: BrokerSettings) -> ssl.SSLContext:
    """Return the TLS set-up of `broker`; reads its files. Raises `LinkError` `link.tls`."""
    try:
        context = ssl.create_default_context(cafile=broker.ca_file or None)
        if broker.cert_file:
            context.load_cert_chain(broker.cert_file, broker.key_file or None)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise LinkError(
            "link.tls",
            f"The certificates for the broker can't be used: {error}.",
            hint="Check `broker.ca_file`, `broker.cert_file` and `broker.key_file`.",
        ) from error
    return context


def explain(error: aiomqtt.MqttError, endpoint: Endpoint) -> LinkError:
    """Return what a failed or lost connection means, and what to do about it."""
    code = getattr(error, "rc", None)
    value = getattr(code, "value", code)
    cause = error.__context__  # aiomqtt hides the socket error but leaves it here
    if isinstance(error, MqttConnectError):
        return _refused(value, endpoint)
    if isinstance(cause, ssl.SSLError):
        return LinkError(
            "link.tls",
            f"The broker at {endpoint} could not prove who it is: {cause.reason or cause}.",
            hint="Check `broker.ca_file` and that the box's clock is right.",
            retryable=True,
        )
    if isinstance(cause, socket.gaierror):
        return LinkError(
            "link.unreachable",
            f"The name {endpoint.host} of the broker is not known.",
            hint="Check `broker.urls` and the network's name server.",
            retryable=True,
        )
    if isinstance(cause, OSError) or "timed out" in str(error):
        return LinkError(
            "link.unreachable",
            f"No broker answers at {endpoint}: {cause or error}.",
            hint="Check the network, `broker.urls`, and that the broker runs.",
            retryable=True,
        )
    return LinkError("link.lost", f"The connection to {endpoint} broke: {error}.", retryable=True)


def asks_to_wait(error: LinkError) -> bool:
    """Say whether the broker itself asked to come back later."""
    cause = error.__cause__
    code = getattr(cause, "rc", None) if isinstance(cause, MqttConnectError) else None
    return getattr(code, "value", code) in _COME_LATER


def _refused(code: object, endpoint: Endpoint) -> LinkError:
    if code in _BAD_CREDENTIALS + _NOT_AUTHORISED:
        return LinkError(
            "link.refused_credentials",
            f"The broker at {endpoint} does not accept this user and password.",
            hint="Check `broker.username` and `broker.password`, or enrol the box anew.",
        )
    return LinkError(
        "link.refused", f"The broker at {endpoint} refuses: code {code}.", retryable=True
    )
