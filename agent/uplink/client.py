"""One aiomqtt client, as the link needs it: made anew for each connection, and really ended.

What aiomqtt hides is reached here and nowhere else: PUBACKs of ours are sent by hand, the reason in
the broker's PUBACK (MQTT 5) is read, what is to be sent is written without a wait for the socket,
what comes is waited for without a task, and the socket is at hand.
"""

import asyncio
import math
import socket
import ssl
import struct
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, time_func
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.core.clock import SystemClock, to_tick_s
from agent.settings.model import BrokerSettings
from agent.uplink.endpoint import Endpoint, tls_context

V311, V5 = aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5
REFUSED = 0x80
_NODELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # Nagle costs up to 90 ms a message
_CONNECT_S = 10.0
_V5_CONNECT_S = 5.0  # some brokers never answer a version they do not speak
_FOR_EVER = 0xFFFFFFFF
_TCP_INFO_BYTES = 144
_OPTIONS_AT, _TIMESTAMPS = 5, 1
_COUNTS_AT = 120  # bytes acknowledged, received (u64), segments out, in (u32); Linux 4.2
_TCP_BYTES, _TIMESTAMPS_BYTES = 20, 12  # RFC 9293 3.1; RFC 7323 3.2, and two for alignment
_IP_BYTES = {socket.AF_INET: 20, socket.AF_INET6: 40}


async def make_client(
    endpoint: Endpoint,
    broker: BrokerSettings,
    client_id: str,
    *,
    will: aiomqtt.Will | None,
    version: aiomqtt.ProtocolVersion,
    clean_session: bool,
    on_refused: Callable[[str], None],
) -> aiomqtt.Client:
    """Return a client that is not connected yet. Raises `LinkError` `link.tls`.

    `on_refused` is called when the broker PUBACKs a message of ours with a refusal (MQTT 5 only).
    """
    is_v5 = version is V5
    client = aiomqtt.Client(
        endpoint.host,
        endpoint.port,
        identifier=client_id,
        username=broker.username or None,
        password=broker.password or None,
        protocol=version,
        clean_session=None if is_v5 else clean_session,
        clean_start=clean_session if is_v5 else MQTT_CLEAN_START_FIRST_ONLY,
        properties=_session(clean_session=clean_session) if is_v5 else None,
        keepalive=broker.ping_s,
        timeout=_V5_CONNECT_S if is_v5 else _CONNECT_S,
        tls_context=await asyncio.to_thread(tls_context, broker) if endpoint.tls else None,
        socket_options=[_NODELAY],
        will=will,
    )
    client.pending_calls_threshold = 1000
    # aiomqtt would PUBACK before our handler has run: the broker could forget what we lose.
    client._client.manual_ack_set(True)  # noqa: SLF001
    write_at_once(client)
    keep_alive_when_due(client)
    if is_v5:
        listen_for_refusals(client, on_refused)
    return client


def write_at_once(client: aiomqtt.Client) -> None:
    """Write what is queued in the loop's next turn, all of it together.

    aiomqtt wakes its own loop and asks the kernel each time whether the socket takes something;
    here that is asked only when it did not.
    """
    paho: Any = client._client  # noqa: SLF001
    wait_for_room = paho.on_socket_register_write
    loop, thread_id = asyncio.get_running_loop(), threading.get_ident()

    def flush(sock: Any) -> None:
        if paho.socket() is not sock:
            return
        paho.loop_write()
        if paho.socket() is sock and paho.want_write():  # it may have broken over it
            wait_for_room(paho, None, sock)

    def on_socket_register_write(_: Any, __: Any, sock: Any) -> None:
        is_here = threading.get_ident() == thread_id  # CONNECT is sent from an executor's thread
        (loop.call_soon if is_here else loop.call_soon_threadsafe)(flush, sock)

    paho.on_socket_register_write = on_socket_register_write


def keep_alive_when_due(client: aiomqtt.Client) -> None:
    """Let paho look after its pings when one may be due, in whole seconds, and not each second."""
    paho: Any = client._client  # noqa: SLF001

    async def misc_loop() -> None:
        clock = SystemClock()
        while paho.loop_misc() == MQTTErrorCode.MQTT_ERR_SUCCESS:
            tick_s = to_tick_s(clock, 1.0)
            await clock.sleep_s(tick_s + max(0, math.ceil(_idle_s(paho) - tick_s)))

    client._misc_loop = misc_loop  # type: ignore[method-assign]  # noqa: SLF001


def _idle_s(paho: Any) -> float:
    """Return how long paho has nothing to do by itself: what comes or goes meanwhile adds to it."""
    # As paho's `_check_keepalive` and `loop_misc` have it; names it has no more mean at once. Until
    # the broker has let it in, which may ask for pings more often (MQTT 5), it looks each second.
    if not paho.is_connected():
        return 0.0
    lasts = [getattr(paho, name, 0.0) for name in ("_last_msg_out", "_last_bytes_received")]
    if asked_s := getattr(paho, "_ping_t", 0.0):
        lasts.append(asked_s)
    return float(min(lasts) + paho.keepalive - time_func())


async def connect(client: aiomqtt.Client) -> None:
    """Raises `aiomqtt.MqttError`."""
    await client.__aenter__()
    queue: Any = client._queue  # noqa: SLF001

    def ended(future: asyncio.Future[None]) -> None:
        if not future.cancelled():
            future.exception()  # else asyncio complains when nobody waits for a message any more
        queue.put_nowait(None)

    client._disconnected.add_done_callback(ended)  # noqa: SLF001


async def next_message(client: aiomqtt.Client) -> aiomqtt.Message:
    """Wait for what comes next. Raises `aiomqtt.MqttError` when the connection has ended.

    aiomqtt's own iterator makes a task and waits for two things with each message.
    """
    message: aiomqtt.Message | None = await client._queue.get()  # noqa: SLF001
    if message is None:
        raise aiomqtt.MqttError("It ended.") from client._disconnected.exception()  # noqa: SLF001
    return message


def acknowledge(client: aiomqtt.Client, message: aiomqtt.Message) -> None:
    """PUBACK a message that came."""
    client._client.ack(message.mid, message.qos)  # noqa: SLF001


def expiry(seconds: float) -> Properties:
    """Return the MQTT 5 properties of a message that is worth nothing after `seconds`."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.MessageExpiryInterval = max(1, round(seconds))
    return properties


def code_of(reason: Any) -> int:
    """Return a reason or return code as its number, whatever class it has."""
    return int(getattr(reason, "value", reason))


@dataclass(frozen=True, slots=True)
class Ends:
    """Between what a connection stands: the box's address, and the broker's socket address."""

    family: int
    address: str
    peer: Any


def ends_of(client: aiomqtt.Client | None) -> Ends | None:
    """Return the ends of a connection; None when it stands no more."""
    sock = None if client is None else _socket(client)
    if sock is None:
        return None
    try:
        return Ends(sock.family, str(sock.getsockname()[0]), sock.getpeername())
    except OSError:
        return None


def wire_bytes(client: aiomqtt.Client) -> int:
    """Return what this connection has carried both ways, TLS and TCP/IP headers included."""
    return sum(tcp_counts(client))


def tcp_counts(client: aiomqtt.Client) -> tuple[int, int]:
    """Return TCP's payload and the bytes of all TCP/IP headers, both ways; zeros without a socket.

    By the kernel's own count (TCP_INFO). A segment that is repeated counts by its headers; one
    without payload is nothing else.
    """
    sock = _socket(client)
    if sock is None:
        return 0, 0
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        acked, received, *segments = struct.unpack_from("=QQII", info, _COUNTS_AT)
    except (OSError, struct.error):  # it is closed, or the kernel is too old to count
        return 0, 0
    each = _TCP_BYTES + _IP_BYTES.get(sock.family, 40)
    each += _TIMESTAMPS_BYTES if info[_OPTIONS_AT] & _TIMESTAMPS else 0
    return int(acked + received), each * sum(segments)


def shut(client: aiomqtt.Client) -> None:
    """End the socket; paho then sees the end of file and cleans up."""
    sock = _socket(client)
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def close_what_failed(client: aiomqtt.Client, error: BaseException) -> None:
    """After a failed handshake paho leaves the socket open, held by the error's frames."""
    shut(client)
    cause: BaseException | None = error
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__context__


def _socket(client: aiomqtt.Client) -> socket.socket | ssl.SSLSocket | None:
    sock = client._client.socket()  # noqa: SLF001
    return sock if isinstance(sock, socket.socket | ssl.SSLSocket) else None


def _session(*, clean_session: bool) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 0 if clean_session else _FOR_EVER
    return properties


def listen_for_refusals(client: aiomqtt.Client, on_refused: Callable[[str], None]) -> None:
    """Read the reason in each PUBACK; aiomqtt takes every PUBACK for a success."""
    paho: Any = client._client  # noqa: SLF001
    told = paho.on_publish

    def on_publish(this: Any, data: Any, mid: int, reason: Any, properties: Any) -> None:
        if code_of(reason) >= REFUSED:
            on_refused(str(reason))
        told(this, data, mid, reason, properties)

    paho.on_publish = on_publish
