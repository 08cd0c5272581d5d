"""Which MQTT version is spoken with which broker: 5 where it is wanted and understood, else 3.1.1.

A broker that knows no MQTT 5 refuses it (nats-server), or never answers (RabbitMQ 3.10). Either is
remembered of its address for a day: it may have been updated, or only have been slow.
"""

import aiomqtt
from aiomqtt.exceptions import MqttConnectError

from agent.core.clock import Clock
from agent.uplink.client import V5, V311, code_of
from agent.uplink.endpoint import Endpoint

_REMEMBER_S = 86_400.0
# CONNACK: 3.1.1's "unacceptable version", MQTT 5's unspecified, malformed, protocol error, version.
_NOT_SPOKEN = (1, 128, 129, 130, 132)


class Versions:
    """Asked before each connection, told how it failed."""

    def __init__(self, clock: Clock, *, wants_v5: bool) -> None:
        self._clock, self._wants_v5 = clock, wants_v5
        self._plain_until_mono_s: dict[Endpoint, float] = {}

    def of(self, endpoint: Endpoint) -> aiomqtt.ProtocolVersion:
        """Return the version to try."""
        is_plain = self._plain_until_mono_s.get(endpoint, 0.0) > self._clock.monotonic_s()
        return V5 if self._wants_v5 and not is_plain else V311

    def falls_back(self, endpoint: Endpoint, error: aiomqtt.MqttError) -> bool:
        """Take a failed connection; say whether 3.1.1 is to be tried at once."""
        if self.of(endpoint) is V311:
            return False
        refused = isinstance(error, MqttConnectError) and code_of(error.rc) in _NOT_SPOKEN
        if not refused and "timed out" not in str(error):
            return False
        self._plain_until_mono_s[endpoint] = self._clock.monotonic_s() + _REMEMBER_S
        return True
