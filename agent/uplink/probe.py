"""Tries the way to the center step by step and says in plain words where it ends.

Where an agent is connected, nothing here logs in: brokers that bind client ids to user names would
cut the agent off. Its own word is taken instead, and every address is tried up to TLS. Whether the
broker takes our messages only MQTT 5 can tell: with 3.1.1 a refused message is PUBACKed like any
other.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiomqtt
import msgspec

from agent.contract.commands import Reply, ReplyState
from agent.contract.presence import CenterState
from agent.contract.topics import BoxAddress, Channel
from agent.core.errors import LinkError
from agent.settings.model import BrokerSettings
from agent.uplink.client import REFUSED, V5, V311, code_of, listen_for_refusals
from agent.uplink.endpoint import Endpoint, explain, tls_context
from agent.uplink.link_report import LinkReport

_CONNECT_S = 10.0
_V5_CONNECT_S = 5.0  # some brokers never answer a version they do not speak
_CENTER_S = 2.0


@dataclass(frozen=True, slots=True)
class Step:
    """One thing tried. `ok` None: it can't be known."""

    name: str
    ok: bool | None
    text: str
    hint: str = ""


async def probe(broker: BrokerSettings, address: BoxAddress) -> AsyncIterator[Step]:
    """Try every endpoint of `broker`; yield each step as soon as it is known."""
    for url in broker.urls:
        try:
            endpoint = Endpoint.parse(url)
            yield await _name(endpoint)
            async with _connected(endpoint, broker, address, V311) as mqtt:
                yield Step("login", True, f"{endpoint} takes user `{broker.username or '-'}`.")
                yield await _read_own(mqtt, address)
                yield await _center(mqtt, address)
            yield await _write_own(endpoint, broker, address)
        except LinkError as error:
            yield Step("connect", False, error.message, error.hint)


async def probe_beside(broker: BrokerSettings, report: LinkReport) -> AsyncIterator[Step]:
    """Try what can be tried without a login, beside an agent that is connected."""
    for url in broker.urls:
        try:
            endpoint = Endpoint.parse(url)
            yield await _name(endpoint)
            yield await asyncio.to_thread(_reach, endpoint, broker)
        except LinkError as error:
            yield Step("reach", False, error.message, error.hint)
    since = report.since.isoformat(timespec="seconds")
    yield Step("login", True, f"The agent is connected to {report.endpoint} since {since}.")
    yield Step("subscribe", True, "The agent may read its orders.")
    yield _center_step(online=report.center_online)
    yield _heard(report)


def _reach(endpoint: Endpoint, broker: BrokerSettings) -> Step:
    """Connect, and shake hands where it is TLS; say nothing."""
    try:
        with socket.create_connection((endpoint.host, endpoint.port), _CONNECT_S) as plain:
            if endpoint.tls:
                context = tls_context(broker)
                context.wrap_socket(plain, server_hostname=endpoint.host).close()
    except ssl.SSLError as error:
        hint = "Check `broker.ca_file` and that the box's clock is right."
        text = f"{endpoint} could not prove who it is: {error.reason}."
        return Step("reach", False, text, hint)
    except OSError as error:
        hint = "Check the network, `broker.urls`, and that the broker runs."
        return Step("reach", False, f"Nobody answers at {endpoint}: {error}.", hint)
    return Step("reach", True, f"{endpoint} answers.")


def _heard(report: LinkReport) -> Step:
    """Say whether the center acknowledges what the agent sends."""
    if report.unheard_s >= _CENTER_S:
        text = f"The center has acknowledged nothing for {report.unheard_s:.0f} s."
        return Step("publish", False, text, "At the broker, allow this user to write its `up/#`.")
    if report.ack_ms is None:
        return Step("publish", None, "The agent has had nothing to send yet.")
    text = f"The center acknowledged the last record in {report.ack_ms:.0f} ms."
    return Step("publish", True, text)


async def _name(endpoint: Endpoint) -> Step:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except OSError as error:
        hint = "Check `broker.urls` and the name server; an IP address needs none."
        return Step("name", False, f"{endpoint.host} has no address: {error.strerror}.", hint)
    return Step("name", True, f"{endpoint.host} is {found[0][4][0]}.")


@asynccontextmanager
async def _connected(
    endpoint: Endpoint,
    broker: BrokerSettings,
    address: BoxAddress,
    version: aiomqtt.ProtocolVersion,
    timeout_s: float = _CONNECT_S,
) -> AsyncIterator[aiomqtt.Client]:
    client = aiomqtt.Client(
        endpoint.host,
        endpoint.port,
        identifier=f"{address.box}-test",
        username=broker.username or None,
        password=broker.password or None,
        protocol=version,
        timeout=timeout_s,
        tls_context=await asyncio.to_thread(tls_context, broker) if endpoint.tls else None,
    )
    try:
        async with client:
            yield client
    except aiomqtt.MqttError as error:
        raise explain(error, endpoint) from error


async def _read_own(client: aiomqtt.Client, address: BoxAddress) -> Step:
    codes: list[Any] = list(await client.subscribe(address.down_filter, 1))
    await client.subscribe(address.center_state, 0)
    if any(code_of(code) >= REFUSED for code in codes):
        hint = f"At the broker, allow this user to read `{address.down_filter}`."
        return Step("subscribe", False, "The broker does not let this box read its orders.", hint)
    return Step("subscribe", True, f"This box may read `{address.down_filter}`.")


async def _center(client: aiomqtt.Client, address: BoxAddress) -> Step:
    """Look for the center's retained presence."""
    try:
        async with asyncio.timeout(_CENTER_S):
            async for message in client.messages:
                if message.topic.value == address.center_state:
                    state = msgspec.json.decode(bytes(message.payload), type=CenterState)
                    return _center_step(online=state.online)
    except (TimeoutError, msgspec.MsgspecError):
        pass
    text = f"No center has ever said on `{address.center_state}` that it is there."
    return Step("center", None, text, "Check `site`; some centers do not say it.")


def _center_step(*, online: bool) -> Step:
    if online:
        return Step("center", True, "The center is there.")
    return Step("center", False, "The center's ingest is away.", "Ask the center; all is kept.")


async def _write_own(endpoint: Endpoint, broker: BrokerSettings, address: BoxAddress) -> Step:
    """Publish an answer to no order, which every center ignores, and read the broker's reason."""
    reply = Reply(id="link-test", state=ReplyState.DONE)
    reasons: list[str] = []
    try:
        async with _connected(endpoint, broker, address, V5, _V5_CONNECT_S) as client:
            listen_for_refusals(client, reasons.append)
            await client.publish(address.topic(Channel.REPLY), msgspec.json.encode(reply), 1)
    except LinkError:
        text = "This broker speaks MQTT 3.1.1 only, which can't say whether it takes our messages."
        hint = "See `poleside link status`: is what the box sends acknowledged by the center?"
        return Step("publish", None, text, hint)
    if reasons:
        hint = f"At the broker, allow this user to write `{address.topic(Channel.REPLY)[:-4]}/#`."
        text = f"The broker refuses what this box sends: {reasons[0]}."
        return Step("publish", False, text, hint)
    return Step("publish", True, "The broker takes what this box sends.")
