"""The Events service of a simulated camera: pull points, pushing, renewal, and their faults."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

from lxml import etree

from agent.core.clock import Clock
from agent.simulators.camera import onvif_answers as answers
from agent.simulators.camera.onvif_answers import BASE_NOTIFICATION, EVENTS
from agent.simulators.camera.onvif_events import EventSource, PullPoint, root_of
from agent.simulators.camera.onvif_http import HttpRequest
from agent.simulators.camera.onvif_service import (
    Camera,
    Operations,
    SoapRefusal,
    said,
    seconds,
)

POINT_PATH = "/onvif/subscription/"
_LIFETIME_S = 60.0
_PUSH_EVERY_S, _PUSH_S = 0.05, 2.0


class SubscriptionService:
    """Answers Events, and pushes to who asked for that."""

    def __init__(self, camera: Camera, events: EventSource, other_port: Callable[[], int]) -> None:
        self._camera, self._events, self._other_port = camera, events, other_port

    def operations(self) -> Operations:
        return {
            (EVENTS, "CreatePullPointSubscription"): self._create,
            (EVENTS, "PullMessages"): self._pull,
            (EVENTS, "SetSynchronizationPoint"): self._synchronise,
            (EVENTS, "GetEventProperties"): self._properties,
            (BASE_NOTIFICATION, "Subscribe"): self._subscribe,
            (BASE_NOTIFICATION, "Renew"): self._renew,
            (BASE_NOTIFICATION, "Unsubscribe"): self._unsubscribe,
        }

    async def push(self, clock: Clock) -> None:
        """Send what waits to the consumers, for as long as the camera runs."""
        while True:
            for point in list(self._events.points.values()):
                if point.push_to and point.queue:
                    await _post(point.push_to, answers.envelope(answers.notify(point.take(20))))
            await clock.sleep_s(_PUSH_EVERY_S)

    async def _create(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        if self._camera.faults.knows_no_pull_point:
            raise SoapRefusal("ActionNotSupported", "no pull points here", "Receiver")
        expression = said(operation, "TopicExpression")
        if expression and self._camera.faults.refuses_filter:
            raise SoapRefusal("InvalidFilterFault", "no filters here", "Sender")
        point_id, point = self._open(said(operation, "InitialTerminationTime"))
        point.roots = frozenset(root_of(tree.strip()) for tree in expression.split("|") if tree)
        return answers.subscription(self._url(point_id), self._camera.now(), point.until)

    async def _subscribe(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        consumer = said(operation, "Address")
        if not consumer.startswith("http://"):
            raise SoapRefusal("InvalidArgVal", "no consumer to push to")
        point_id, point = self._open(said(operation, "InitialTerminationTime"))
        point.push_to = consumer
        return answers.pushed(self._url(point_id), self._camera.now(), point.until)

    async def _pull(self, operation: etree._Element, request: HttpRequest) -> str:
        _, point = self._point(request)
        timeout_s = min(seconds(said(operation, "Timeout", "PT1S")), _LIFETIME_S)
        limit = int(said(operation, "MessageLimit", "10"))
        messages = await self._events.pull(point, timeout_s, limit)
        if self._camera.faults.pull_is_deaf:
            messages = []
        now = self._camera.now()
        point.until = max(point.until, now + timedelta(seconds=_LIFETIME_S))
        return answers.pulled(messages, now, point.until)

    async def _renew(self, operation: etree._Element, request: HttpRequest) -> str:
        _, point = self._point(request)
        if self._camera.faults.fails_renew:
            raise SoapRefusal("UnacceptableTerminationTimeFault", "not now", "Receiver")
        now = self._camera.now()
        text = said(operation, "TerminationTime", f"PT{_LIFETIME_S:.0f}S")
        point.until = now + timedelta(seconds=seconds(text))
        return answers.renewed(now, point.until)

    async def _unsubscribe(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        point_id, _ = self._point(request)
        del self._events.points[point_id]
        return "<wsnt:UnsubscribeResponse/>"

    async def _synchronise(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        point_id, _ = self._point(request)
        self._events.synchronise(point_id, self._camera.now())
        return "<tev:SetSynchronizationPointResponse/>"

    async def _properties(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        return answers.event_properties(lists_echoes=self._camera.config.tells_echoes)

    def _open(self, wanted: str) -> tuple[str, PullPoint]:
        faults, now = self._camera.faults, self._camera.now()
        lifetime_s = seconds(wanted) if wanted.startswith("P") else _LIFETIME_S
        lifetime_s = 0.001 if faults.expires_at_once else lifetime_s
        point_id = self._events.subscribe(now, lifetime_s, faults.slot_limit)
        if point_id is None:
            raise SoapRefusal("MaxPullPoints", "no pull point is free", "Receiver")
        return point_id, self._events.points[point_id]

    def _url(self, point_id: str) -> str:
        base = self._camera.base()
        if self._camera.faults.other_port:
            base = f"{base.rpartition(':')[0]}:{self._other_port()}"
        return f"{base}{POINT_PATH}{point_id}"

    def _point(self, request: HttpRequest) -> tuple[str, PullPoint]:
        point_id = request.path.rpartition("/")[2]
        point = self._events.points.get(point_id)
        if point is None or point.until < self._camera.now():
            raise SoapRefusal("InvalidArgVal", "no such subscription")
        return point_id, point


async def _post(url: str, body: bytes) -> None:
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: application/soap+xml; charset=utf-8\r\nConnection: close\r\n\r\n"
    )
    try:
        async with asyncio.timeout(_PUSH_S):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                writer.write(head.encode() + body)
                await writer.drain()
                await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return  # as a camera does: what nobody takes is lost
