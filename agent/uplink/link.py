"""The connection to the city's broker: kept alive, told honestly, and nothing taken for granted.

MQTT 3.1.1 over aiomqtt, 5 where it is wanted. Each connection is a new client (a reused one sends
twice), a refused subscription is an error, a message is PUBACKed only after it was handled, and a
publish that is not PUBACKed in time ends the connection (the only sign of a half-open one). PUBACK
is not delivery.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

import aiomqtt
from paho.mqtt.properties import Properties

from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.errors import LinkError
from agent.settings.model import BrokerSettings
from agent.uplink.backoff import Backoff, Hint
from agent.uplink.carrier import Carrier
from agent.uplink.certificate_refusal import certificate_refusal
from agent.uplink.client import (
    REFUSED,
    V5,
    acknowledge,
    close_what_failed,
    code_of,
    connect,
    ends_of,
    expiry,
    make_client,
    next_message,
    shut,
    wire_bytes,
)
from agent.uplink.endpoint import Endpoint, asks_to_wait, explain
from agent.uplink.takeover import Takeovers, twin
from agent.uplink.version import Versions

_GOODBYE_S = 2.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish. After `expires_s` it is worth nothing (heeded with MQTT 5 only)."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    expires_s: float | None = None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that came. It is PUBACKed when its handler returns."""

    topic: str
    payload: bytes
    retained: bool


class Greeter(Protocol):
    """What is said when a connection begins and ends; called once per connection, in this order."""

    def will(self) -> Outgoing | None:
        """Begin a new connection: what the broker says for us when it breaks."""
        ...

    def greetings(self) -> Sequence[Outgoing]:
        """What to publish first."""
        ...

    def farewell(self) -> Outgoing | None:
        """What to publish before a planned end."""
        ...


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """The link as the page shows it. `since_mono_s` is when `connected` last changed.

    `refused` is why the broker did not take a message; only MQTT 5 can tell.
    """

    connected: bool = False
    endpoint: str = ""
    line: str = ""
    mqtt: str = ""
    refused: str = ""
    since_mono_s: float = 0.0
    connects_total: int = 0
    error: LinkError | None = None
    puback_ms: float | None = None
    has_twin: bool = False


class Link(Service):
    """One client of the broker. `received` handles messages one after another.

    While `has_alarms`, no wait is longer than the back-off's `cap_s`, whoever asked for it.
    """

    name = "uplink.link"

    def __init__(
        self,
        clock: Clock,
        broker: BrokerSettings,
        client_id: str,
        *,
        greeter: Greeter,
        subscriptions: Sequence[tuple[str, int]],
        received: Callable[[Incoming], Awaitable[None]],
        clean_session: bool = True,
        backoff: Backoff | None = None,
        has_alarms: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        super().__init__(clock)
        self._has_alarms = has_alarms
        self._broker, self._client_id, self._greeter = broker, client_id, greeter
        self._subscriptions, self._received = tuple(subscriptions), received
        self._clean_session, self._backoff = clean_session, backoff or Backoff()
        self._urls: list[str] = []  # still to be tried in this round
        self._carrier, self._endpoint = Carrier(), Endpoint("", 0, tls=False)
        self._hint, self._was_asked, self._is_own_end = Hint(clock), False, False
        self._told_anew = asyncio.Event()
        self._client: aiomqtt.Client | None = None
        self._up = asyncio.Event()
        self._publishing: set[asyncio.Timeout] = set()
        self._takeovers, self._gave_up = Takeovers(), False
        self._versions = Versions(clock, wants_v5=broker.mqtt_version == "5")
        self._version, self._closed_bytes = broker.mqtt_version, 0
        self._log = log.get(self.name)
        self.status = LinkStatus(since_mono_s=clock.monotonic_s())

    async def connected(self) -> int:
        """Wait for a connection that is subscribed and greeted; return its number."""
        await self._up.wait()
        return self.status.connects_total

    def is_up(self, number: int) -> bool:
        """Say whether connection `number` still stands."""
        return self._up.is_set() and self.status.connects_total == number

    @property
    def carried_bytes(self) -> int:
        """What all connections have carried both ways, TLS and TCP/IP headers included."""
        return self._closed_bytes + (0 if self._client is None else wire_bytes(self._client))

    def use(self, broker: BrokerSettings) -> None:
        """Connect anew, by other settings, at once: the old way's failures don't count."""
        self._broker, self._urls = broker, []
        self._told_anew.set()
        self.connect_anew()

    @property
    def kind(self) -> str:
        """What the line is, or was last: "wired" or "lte"."""
        if self._broker.link != "auto":
            return self._broker.link
        return "lte" if self._carrier.way is None else self._carrier.way.kind

    def has_another_way(self) -> bool:
        """Say whether a connection made now would take another line."""
        return self._carrier.is_another(self._endpoint, ends_of(self._client), self._broker)

    def connect_anew(self) -> None:
        """End this connection; the next one comes soon."""
        if self._client is not None:
            self._is_own_end = True
            shut(self._client)

    def come_back_after(self, seconds: float | None) -> None:
        """Take the center's word: when this connection is lost, wait at least so long."""
        self._hint.said(seconds)

    async def publish(self, message: Outgoing) -> None:
        """Publish and, for QoS 1, wait for the broker's PUBACK. Raises `LinkError`."""
        if self._client is None:
            raise LinkError("link.down", "There is no connection to the broker.", retryable=True)
        await self._publish(self._client, message)

    async def run(self) -> None:
        failures = 0
        while True:
            if not self._urls:
                self._urls = random.sample(self._broker.urls, len(self._broker.urls))
                self._was_asked = False
            self._told_anew.clear()
            try:
                self._is_own_end = False
                await self._connection(Endpoint.parse(self._urls.pop()))
            except LinkError as error:
                lived_s = self._clock.monotonic_s() - self.status.since_mono_s
                was_stable = self.status.connected and lived_s >= self._backoff.stable_s
                failures = 1 if was_stable else failures + 1
                cut_off_by_twin = self._is_takeover(error, lived_s)
                self._down(twin(self._client_id) if cut_off_by_twin else error)
                if cut_off_by_twin:
                    wait_s = self._backoff.twin_s * random.uniform(0.5, 1.0)  # noqa: S311
                else:
                    wait_s = self._wait_s(error, failures)
                await self._rest(wait_s)
                failures = 0 if self._told_anew.is_set() else failures

    def _wait_s(self, error: LinkError, failures: int) -> float:
        """Return how long to wait before the next try."""
        self._was_asked = self._was_asked or asks_to_wait(error)
        if self._was_asked and self._urls:  # another address may be ready
            return self._backoff.wait_s(1)
        if self._was_asked:
            return self._backoff.cap_s * random.uniform(0.5, 1.0)  # noqa: S311
        if self._is_own_end:  # the center's word is about its broker's going, later
            return self._backoff.wait_s(failures)
        return self._hint.wait_s() or self._backoff.wait_s(failures)

    async def _rest(self, wait_s: float) -> None:
        """Wait before the next try, unless other settings come; with alarms waiting not long."""
        while wait_s > 0 and not self._told_anew.is_set():
            part_s = min(wait_s, self._backoff.cap_s)
            async with asyncio.TaskGroup() as tasks:
                waits = {
                    tasks.create_task(self._clock.sleep_s(part_s)),
                    tasks.create_task(self._told_anew.wait()),
                }
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()
            wait_s -= part_s
            if wait_s > 0 and self._has_alarms is not None and await self._has_alarms():
                return

    async def stop(self) -> None:
        if self.status.connected:
            self._down(None)

    def _is_takeover(self, error: LinkError, lived_s: float) -> bool:
        """Say whether a twin most likely ended this connection."""
        if not self.status.connected:
            self._takeovers.not_reached()
            return False
        by_peer = error.code == "link.lost" and not self._gave_up
        self._takeovers.ended(lived_s, by_peer=by_peer)
        return by_peer and self._takeovers.suspected

    async def _connection(self, endpoint: Endpoint) -> None:
        """Live one connection until it breaks; raises `LinkError`, never returns."""
        client = await self._enter(endpoint)
        try:
            await self._serve(client, endpoint)
        except aiomqtt.MqttError as error:
            raise explain(error, endpoint) from error
        except asyncio.CancelledError:
            farewell = self._greeter.farewell()
            if farewell is not None:
                with suppress(LinkError):
                    await self._publish(client, farewell, timeout_s=_GOODBYE_S)
            raise
        finally:
            self._closed_bytes += wire_bytes(client)
            self._client = None
            self._up.clear()
            for scope in self._publishing:  # aiomqtt would let them wait for their time-out
                scope.reschedule(-1.0)
            await self._leave(client)

    async def _enter(self, endpoint: Endpoint) -> aiomqtt.Client:
        """Return a client that the broker has let in; raises `LinkError`."""
        version, will = self._versions.of(endpoint), self._greeter.will()
        self._endpoint = endpoint
        client = await make_client(
            endpoint,
            await self._carrier.choose(endpoint, self._broker),
            self._client_id,
            will=aiomqtt.Will(will.topic, will.payload, will.qos, will.retain) if will else None,
            version=version,
            clean_session=self._clean_session,
            on_refused=self._was_refused,
        )
        try:
            await connect(client)
        except aiomqtt.MqttError as error:
            close_what_failed(client, error)
            refusal = None
            if "timed out" in str(error):
                refusal = await asyncio.to_thread(certificate_refusal, endpoint, self._broker)
            if refusal is None and self._versions.falls_back(endpoint, error):
                self._log.info("no MQTT 5 here, 3.1.1 it is", endpoint=str(endpoint))
                return await self._enter(endpoint)
            raise refusal or explain(error, endpoint) from error
        self._version = "5" if version is V5 else "3.1.1"
        return client

    def _was_refused(self, reason: str) -> None:
        if reason != self.status.refused:
            self._log.warning("the broker refuses what this box sends", reason=reason)
        self.status = replace(self.status, refused=reason)

    async def _serve(self, client: aiomqtt.Client, endpoint: Endpoint) -> None:
        for topic, qos in self._subscriptions:
            await self._subscribe(client, topic, qos)
        for message in self._greeter.greetings():
            await self._publish(client, message)
        self._client, self._gave_up = client, False
        self.status = replace(
            self.status,
            connected=True,
            endpoint=str(endpoint),
            line=self.kind,
            mqtt=self._version,
            refused="",
            since_mono_s=self._clock.monotonic_s(),
            connects_total=self.status.connects_total + 1,
            error=None,
        )
        self._log.info("connected to the broker", endpoint=str(endpoint), line=self.kind)
        self._up.set()
        while True:
            came = await next_message(client)
            await self._received(Incoming(came.topic.value, bytes(came.payload), came.retain))
            acknowledge(client, came)
            self.progressed()

    async def _subscribe(self, client: aiomqtt.Client, topic: str, qos: int) -> None:
        for granted in await client.subscribe(topic, qos):
            if code_of(granted) >= REFUSED:
                raise LinkError(
                    "link.not_allowed",
                    f"The broker does not let this box read {topic}.",
                    hint="Check the box's rights at the broker: it must read its own `dn/+`.",
                )

    async def _publish(
        self, client: aiomqtt.Client, message: Outgoing, timeout_s: float | None = None
    ) -> None:
        began = self._clock.monotonic_s()
        limit_s = self._broker.publish_timeout_s if timeout_s is None else timeout_s
        scope = asyncio.timeout(limit_s)
        try:
            async with scope:
                self._publishing.add(scope)
                await client.publish(
                    message.topic,
                    message.payload,
                    message.qos,
                    message.retain,
                    self._properties(message),
                    timeout=math.inf,
                )
        except (TimeoutError, aiomqtt.MqttError) as error:
            self._gave_up = self._gave_up or self._client is client
            shut(client)
            raise LinkError(
                "link.lost", "The broker did not take a message in time.", retryable=True
            ) from error
        finally:
            self._publishing.discard(scope)
        self.progressed()
        if message.qos:
            puback_ms = (self._clock.monotonic_s() - began) * 1000
            self.status = replace(self.status, puback_ms=puback_ms)

    def _properties(self, message: Outgoing) -> Properties | None:
        if message.expires_s is None or self._version != "5":
            return None
        return expiry(message.expires_s)

    async def _leave(self, client: aiomqtt.Client) -> None:
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await client.__aexit__(None, None, None)
        except (aiomqtt.MqttError, TimeoutError):
            shut(client)

    def _down(self, error: LinkError | None) -> None:
        if self.status.error is None or error is None or self.status.error.code != error.code:
            self._log.warning("no connection to the broker", reason=str(error or "stopped"))
        since = self._clock.monotonic_s() if self.status.connected else self.status.since_mono_s
        self.status = replace(
            self.status,
            connected=False,
            since_mono_s=since,
            error=error,
            has_twin=self._takeovers.suspected,
        )
        self.progressed()
