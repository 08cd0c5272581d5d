"""Events pushed by a camera (WS-BaseNotification): the second way, where PullPoint is missing.

The camera calls us: a tiny HTTP listener on the address that faces it, one secret path, only from
the camera's own address, on one of a few ports; size, calls at once and their time are capped.
Threads of the core process.
"""

import contextlib
import http.server
import queue
import secrets
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

from agent.cameras.line import Addressing, OnvifLine, Service
from agent.cameras.notifications import Notification, read_notifications
from agent.cameras.port import CameraBadResponse, CameraNotSupported
from agent.cameras.pull_point import LIFETIME_S, PullPoint, Reference, mended
from agent.cameras.soap_answer import parse, with_declared_prefixes
from agent.cameras.xml_text import filled, text
from agent.core.clock import Clock
from agent.core.errors import CameraError

_SUBSCRIBE = "http://docs.oasis-open.org/wsn/bw-2/NotificationProducer/SubscribeRequest"
PORTS = range(8500, 8516)  # those that the image's firewall lets cameras call
_MAX_BYTES = 256 * 1024
_MOST_WAITING = 200
_READ_S = 5.0
_CALL_S = 10.0  # a whole call, however slowly it drips
_MOST_AT_ONCE = 8


class _Consumer(http.server.ThreadingHTTPServer):
    """Where the camera posts to."""

    daemon_threads = True

    def __init__(self, own: str, port: int, camera: str, clock: Clock) -> None:
        super().__init__((own, port), _Handler)
        self.camera, self._clock = camera, clock
        self._ends_mono_s: dict[Any, float] = {}  # of the calls under way
        self.path = f"/{secrets.token_urlsafe(18)}"
        self.waiting: queue.Queue[tuple[Notification, ...]] = queue.Queue(_MOST_WAITING)
        threading.Thread(target=self.serve_forever, name="camera-push", daemon=True).start()

    @property
    def url(self) -> str:
        """What the camera is told."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}{self.path}"

    def verify_request(self, _: object, client: tuple[str, int]) -> bool:
        """Take connections from the camera only."""
        return client[0] == self.camera

    def process_request(self, request: Any, client_address: Any) -> None:
        """Hear a call in a thread of its own, unless there are many."""
        if len(self._ends_mono_s) >= _MOST_AT_ONCE:
            self.shutdown_request(request)
            return
        self._ends_mono_s[request] = self._clock.monotonic_s() + _CALL_S
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a call that is over."""
        self._ends_mono_s.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut calls that take too long; looked at twice a second."""
        for request, end_mono_s in list(self._ends_mono_s.items()):
            if self._clock.monotonic_s() >= end_mono_s:
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Listen no more; the port is free."""
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """A camera that hangs up, or speaks no HTTP: nothing was told."""


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = _READ_S
    server: _Consumer

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", "0"))
        if self.path != self.server.path or not 0 < size <= _MAX_BYTES:
            self.send_error(404)
            return
        body = self.rfile.read(size)
        with contextlib.suppress(CameraError, queue.Full):
            messages = read_notifications(parse(with_declared_prefixes(body)))
            self.server.waiting.put_nowait(messages)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: events are many."""


class PushPoint(PullPoint):
    """A subscription that is told instead of asked; renewed and closed like the other kind."""

    _consumer: _Consumer
    _is_in_doubt = False

    @classmethod
    def open(cls, line: OnvifLine, clock: Clock, *, topics: tuple[str, ...] = ()) -> "PushPoint":
        """Listen, and have the camera tell us; `topics` are not filtered here."""
        del topics
        there = urlsplit(line.link.device_url)
        own = _own_address(there.hostname or "", there.port or 80)
        consumer = _consumer(own, _ip(there.hostname), clock)
        try:
            reference = _subscribed(line, consumer.url)
        except BaseException:
            consumer.end()
            raise
        point = cls(line, reference, clock)
        point._consumer = consumer
        return point

    def pull(self, wait_s: float) -> tuple[Notification, ...]:
        """Wait for what the camera tells; it must be renewed, as nothing else keeps it."""
        try:
            return self._consumer.waiting.get(timeout=0.0 if self._is_in_doubt else wait_s)
        except queue.Empty:
            self._is_in_doubt = True  # until it shows that it still knows us
            self.renew()
            self._is_in_doubt = False
            return ()

    def close(self) -> None:
        """Unsubscribe and stop listening."""
        try:
            super().close()
        finally:
            self._consumer.end()


def _subscribed(line: OnvifLine, own_url: str) -> Reference:
    body = filled(
        "<wsnt:Subscribe><wsnt:ConsumerReference><wsa:Address>{url}</wsa:Address>"
        "</wsnt:ConsumerReference><wsnt:InitialTerminationTime>PT{life}S"
        "</wsnt:InitialTerminationTime></wsnt:Subscribe>",
        url=own_url,
        life=f"{LIFETIME_S:.0f}",
    )
    answer = line.ask(Service.EVENTS, body, addressing=Addressing(_SUBSCRIBE))
    url = text(answer, "SubscriptionReference/Address")
    if not url:
        raise CameraBadResponse("the camera gives no address for the subscription")
    return Reference(url=mended(url, line.link.device_url))


def _consumer(own: str, camera: str, clock: Clock) -> _Consumer:
    """Listen at the first port that is free. Raises `CameraNotSupported` when none is."""
    for port in PORTS:
        with contextlib.suppress(OSError):
            return _Consumer(own, port, camera, clock)
    raise CameraNotSupported(
        f"no port from {PORTS[0]} to {PORTS[-1]} is free for events",
        hint="End what else listens there on this machine.",
    )


def _own_address(host: str, port: int) -> str:
    """Return our address on the way to the camera; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.connect((host, port))
        return str(line.getsockname()[0])


def _ip(host: str | None) -> str:
    try:
        return socket.gethostbyname(host or "")
    except OSError:
        return ""
