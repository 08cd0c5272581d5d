"""One subscription to a camera's events, asked for news again and again (ONVIF PullPoint).

Slots are few on real cameras, so there is never a second one: what was opened is renewed, resumed
or closed, also by the next process after a crash, for whom the reference is kept.
"""

import re
from contextlib import suppress
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

from lxml import etree
from msgspec import Struct

from agent.cameras.address import repair_service_url
from agent.cameras.line import Addressing, OnvifLine, Service
from agent.cameras.notifications import Notification, read_notifications
from agent.cameras.port import (
    CameraBadResponse,
    CameraFailure,
    CameraNotSupported,
    CameraUnreachable,
)
from agent.cameras.xml_text import child, filled, text
from agent.core.clock import Clock
from agent.core.errors import CameraError

LIFETIME_S = 60.0  # the least a camera must allow; a forgotten one is gone soon
_ANSWER_S = 10.0  # beyond the time the camera may wait for news
_LIMIT = 100
_EVENTS = "http://www.onvif.org/ver10/events/wsdl"
_WSNT = "http://docs.oasis-open.org/wsn"
_CREATE = f"{_EVENTS}/EventPortType/CreatePullPointSubscriptionRequest"
_PULL = f"{_EVENTS}/PullPointSubscription/PullMessagesRequest"
_SYNCHRONISE = f"{_EVENTS}/PullPointSubscription/SetSynchronizationPointRequest"
RENEW = f"{_WSNT}/bw-2/SubscriptionManager/RenewRequest"
UNSUBSCRIBE = f"{_WSNT}/bw-2/SubscriptionManager/UnsubscribeRequest"
_DIALECT = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet"
_TOPIC = re.compile(r"[A-Za-z0-9_:/.]+")


class Reference(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a subscription is. Kept on the disk, so that a crash leaves none behind.

    `parameters` is XML the camera wants back in each header; after `until` it is surely gone by
    itself, and what is at its address may be somebody else's.
    """

    url: str
    parameters: str = ""
    until: datetime | None = None


class PullPoint:
    """A subscription of ours. All methods raise `CameraFailure` when the camera can't or won't."""

    def __init__(self, line: OnvifLine, reference: Reference, clock: Clock) -> None:
        self._line, self._clock = line, clock
        self.reference = reference
        self._renewed_mono_s = clock.monotonic_s()

    @classmethod
    def open(cls, line: OnvifLine, clock: Clock, *, topics: tuple[str, ...] = ()) -> "PullPoint":
        """Subscribe, to all topics or to trees of topics ("tns1:Device/Trigger//.")."""
        body = filled(
            "<tev:CreatePullPointSubscription>{{filter}}<tev:InitialTerminationTime>{life}"
            "</tev:InitialTerminationTime></tev:CreatePullPointSubscription>",
            life=_duration(LIFETIME_S),
        ).replace("{filter}", _filter(topics))
        answer = line.ask(Service.EVENTS, body, addressing=Addressing(_CREATE))
        found = child(answer, "SubscriptionReference")
        url = text(found, "Address")
        if not url:
            raise CameraBadResponse("the camera gives no address for the subscription")
        device_url = line.link.device_url
        reference = Reference(
            url=mended(url, device_url),
            parameters=_parameters(child(found, "ReferenceParameters")),
        )
        point = cls(line, reference, clock)
        try:
            point.synchronise()
        except CameraUnreachable:  # a port that is not let through to us: the device's own then
            point.reference = _at(reference, repair_service_url(url, device_url))
            point._synchronise_or_close()
        except CameraFailure:
            pass  # many know no synchronisation point; states come as they change
        return point

    def _synchronise_or_close(self) -> None:
        """Ask for all states where that is known; what can't be used is given back."""
        try:
            with suppress(CameraNotSupported, CameraBadResponse):
                self.synchronise()
        except CameraFailure:
            with suppress(CameraError):
                self.close()
            raise

    def pull(self, wait_s: float) -> tuple[Notification, ...]:
        """Wait up to `wait_s` for news; nothing is a normal answer."""
        body = filled(
            "<tev:PullMessages><tev:Timeout>{wait}</tev:Timeout>"
            "<tev:MessageLimit>{limit}</tev:MessageLimit></tev:PullMessages>",
            wait=_duration(wait_s),
            limit=_LIMIT,
        )
        answer = self._ask(body, _PULL, timeout_s=wait_s + _ANSWER_S)
        return read_notifications(answer)

    def keep(self) -> None:
        """Renew when half of the time is over; pulling alone keeps it on most cameras."""
        if self._clock.monotonic_s() - self._renewed_mono_s < LIFETIME_S / 2:
            return
        self.renew()

    def renew(self) -> None:
        """Let it live for another minute from now."""
        self._renewed_mono_s = self._clock.monotonic_s()
        body = f"<wsnt:Renew><wsnt:TerminationTime>{_duration(LIFETIME_S)}</wsnt:TerminationTime>"
        self._ask(f"{body}</wsnt:Renew>", RENEW)

    def synchronise(self) -> None:
        """Have the camera tell the state of every property again."""
        self._ask("<tev:SetSynchronizationPoint/>", _SYNCHRONISE)

    def close(self) -> None:
        """Give the slot back."""
        self._ask("<wsnt:Unsubscribe/>", UNSUBSCRIBE)

    def _ask(self, body: str, action: str, *, timeout_s: float | None = None) -> etree._Element:
        return self._line.ask(
            Service.EVENTS,
            body,
            url=self.reference.url,
            timeout_s=timeout_s,
            addressing=Addressing(action, self.reference.parameters),
        )


def _filter(topics: tuple[str, ...]) -> str:
    """Return a topic filter; empty for all."""
    if not topics:
        return ""
    if not all(_TOPIC.fullmatch(topic) for topic in topics):
        raise ValueError("a topic filter has letters, digits and `/` only")
    expression = "|".join(topics)
    return (
        f'<tev:Filter><wsnt:TopicExpression Dialect="{_DIALECT}">{expression}'
        "</wsnt:TopicExpression></tev:Filter>"
    )


def _parameters(found: etree._Element | None) -> str:
    if found is None:
        return ""
    parts = [etree.tostring(part, with_tail=False).decode() for part in found]
    return "".join(parts)[:4096]


def mended(reported: str, reached: str) -> str:
    """Mend the host only: some cameras give each subscription a port of its own."""
    try:
        said, known = urlsplit(reported.strip()), urlsplit(reached)
        port = said.port
    except ValueError as error:
        raise CameraBadResponse("the camera gives an address that is none") from error
    if port is None or said.scheme != known.scheme:
        return repair_service_url(reported, reached)
    host = known.hostname or ""
    netloc = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return urlunsplit((known.scheme, netloc, said.path or "/", said.query, ""))


def _at(reference: Reference, url: str) -> Reference:
    return Reference(url=url, parameters=reference.parameters)


def _duration(seconds: float) -> str:
    return f"PT{seconds:.0f}S"
