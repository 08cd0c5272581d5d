"""A simulated ONVIF camera: the SOAP side of what `rtsp_server` shows, with faults to switch on.

It answers Device, Media 1, PTZ and Events as ONVIF writes them (checked by foreign clients), and
lies like real cameras when told to by `OnvifFaults`. Runs in the simulator's process.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from lxml import etree
from msgspec import Struct

from agent.core import log
from agent.core.clock import Clock
from agent.simulators.camera import onvif_answers as answers
from agent.simulators.camera.onvif_answers import BASE_NOTIFICATION, DEVICE, EVENTS, MEDIA, PTZ
from agent.simulators.camera.onvif_events import EventSource, PullPoint
from agent.simulators.camera.onvif_http import HttpReply, HttpRequest, HttpServer
from agent.simulators.camera.onvif_login import LoginCheck, Verdict
from agent.simulators.camera.ptz_motor import PtzMotor

_PRE_AUTH = {
    "GetSystemDateAndTime",
    "GetServices",
    "GetCapabilities",
    "GetServiceCapabilities",
    "GetHostname",
}
_MEDIA_NAMES = ("GetVideoSources", "GetProfiles", "GetStreamUri", "GetSnapshotUri")
_PATHS = {
    DEVICE: "/onvif/device_service",
    MEDIA: "/onvif/media_service",
    PTZ: "/onvif/ptz_service",
    EVENTS: "/onvif/event_service",
}
_POINT_PATH = "/onvif/subscription/"
_ADDRESSING = "{http://www.w3.org/2005/08/addressing}"
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?")
_SCHEMA_PREFIX = re.compile(rb'xmlns:tt="[^"]*"')
_LIFETIME_S = 60.0
_HUGE_BYTES = 8 * 1024 * 1024
_FOR_EVER_S = 3600.0
_DRIP_S = 0.1

_Handler = Callable[[Any, HttpRequest], Awaitable[str]]


class OnvifDeviceConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One simulated camera. Port 0: any free one. An empty user name lets everyone in."""

    host: str = "127.0.0.1"
    port: int = 0
    name: str = "Simulated camera"
    serial: str = "SIM-0001"
    username: str = "admin"
    password: str = ""
    rtsp_main_url: str = "rtsp://127.0.0.1:8554/main"
    rtsp_sub_url: str = "rtsp://127.0.0.1:8554/sub"
    main_size_px: tuple[int, int] = (1920, 1080)
    sub_size_px: tuple[int, int] = (640, 360)
    fps: int = 15
    ptz: bool = True


class OnvifFaults(Struct, kw_only=True):
    """How the camera misbehaves just now; all may be switched while it runs."""

    silent: bool = False  # takes the connection and says nothing
    drips: bool = False
    huge_body: bool = False
    html_401: bool = False
    empty_200: bool = False
    foreign_xaddr: str = ""  # "http://10.9.9.9:81": reports itself there
    clock_offset_s: float = 0.0
    hides_clock: bool = False  # no time without a login, and no HTTP `Date`
    ignores_move_timeout: bool = False
    knows_no_stop: bool = False
    tells_no_position: bool = False
    undeclared_prefix: bool = False  # uses `tt:` without saying what it stands for
    locks_after: int = 0  # so many refused logins, then none is taken any more
    slow_s: dict[str, float] = {}  # operation: pause before its answer


class SoapRefusal(Exception):  # noqa: N818 - a SOAP fault is the protocol's word for it
    """Becomes a SOAP fault."""

    def __init__(self, subcode: str, reason: str, side: str = "Sender") -> None:
        super().__init__(reason)
        self.subcode, self.reason, self.side = subcode, reason, side


class OnvifDevice:
    """One camera; `serve` until cancelled, wait for `ready`, then it is at `url`."""

    def __init__(self, config: OnvifDeviceConfig, motor: PtzMotor, clock: Clock) -> None:
        self.config, self.motor, self._clock = config, motor, clock
        self.faults = OnvifFaults()
        self.login = LoginCheck(config.username, config.password)
        self.events = EventSource(clock)
        self.calls: list[str] = []  # names of operations answered, for tests
        self._http = HttpServer(config.host, config.port, self._answer, clock)
        self.ready = self._http.ready
        self._operations = self._table()

    @property
    def url(self) -> str:
        """The address of the device service."""
        return f"http://{self.config.host}:{self._http.port}{_PATHS[DEVICE]}"

    async def serve(self) -> None:
        await self._http.serve()

    def fire(self, topic: str, source: Mapping[str, str], data: Mapping[str, str]) -> None:
        """Send an event to all subscribers, such as the bell's digital input."""
        self.events.fire(topic, source, data, self._now())

    def _table(self) -> dict[tuple[str, str], _Handler]:
        media, ptz, events = self._answer_media, self._answer_ptz, self._answer_subscription
        table: dict[tuple[str, str], _Handler] = {
            (EVENTS, "CreatePullPointSubscription"): self._create_pull_point,
            (EVENTS, "PullMessages"): self._pull_messages,
            (EVENTS, "SetSynchronizationPoint"): events,
            (BASE_NOTIFICATION, "Renew"): events,
            (BASE_NOTIFICATION, "Unsubscribe"): events,
        }
        for name in (
            "GetSystemDateAndTime",
            "GetDeviceInformation",
            "GetCapabilities",
            "GetServices",
            "GetScopes",
        ):
            table[DEVICE, name] = self._answer_device
        table |= {(MEDIA, name): media for name in _MEDIA_NAMES}
        if self.config.ptz:
            names = ("GetNodes", "GetConfigurations", "ContinuousMove", "Stop", "GetStatus")
            table |= {(PTZ, name): ptz for name in names}
        return table

    async def _answer(self, request: HttpRequest) -> HttpReply:
        faults = self.faults
        if faults.silent:
            await self._clock.sleep_s(_FOR_EVER_S)
        if faults.html_401:
            return HttpReply(401, b"<html><body>Unauthorized</body></html>", "text/html")
        if faults.huge_body:
            return HttpReply(200, answers.envelope("<x>" + "y" * _HUGE_BYTES + "</x>"))
        if faults.empty_200:
            return HttpReply(200)
        reply = await self._answer_soap(request)
        body = _SCHEMA_PREFIX.sub(b"", reply.body) if faults.undeclared_prefix else reply.body
        date = () if faults.hides_clock else (("Date", format_datetime(self._now(), usegmt=True)),)
        return HttpReply(
            reply.status,
            body,
            headers=(*date, *reply.headers),
            drip_s=_DRIP_S if faults.drips else 0.0,
        )

    async def _answer_soap(self, request: HttpRequest) -> HttpReply:
        try:
            parser = etree.XMLParser(resolve_entities=False, no_network=True)
            envelope = etree.fromstring(request.body, parser)
            operation = envelope.find("{http://www.w3.org/2003/05/soap-envelope}Body")[0]
        except (etree.LxmlError, TypeError, IndexError, ValueError):
            return _refuse(400, "WellFormed", "this is no SOAP 1.2 request")
        name = etree.QName(operation)
        refusal = self._refusal(request, envelope, name.localname)
        if refusal is not None:
            return refusal
        handler = self._operations.get((name.namespace, name.localname), self._answer_unknown)
        self.calls.append(name.localname)
        await self._clock.sleep_s(self.faults.slow_s.get(name.localname, 0.0))
        try:
            body = await handler(operation, request)
        except SoapRefusal as error:
            return _refuse(
                400 if error.side == "Sender" else 500, error.subcode, error.reason, error.side
            )
        message_id = envelope.findtext(f".//{_ADDRESSING}MessageID")
        action = f"{envelope.findtext(f'.//{_ADDRESSING}Action')}Response"
        header = answers.relates_to(message_id, action) if message_id else ""
        return HttpReply(200, answers.envelope(body, header))

    def _refusal(
        self, request: HttpRequest, envelope: etree._Element, operation: str
    ) -> HttpReply | None:
        if operation in _PRE_AUTH and not (
            self.faults.hides_clock and operation == "GetSystemDateAndTime"
        ):
            return None
        verdict = self.login.judge(request, envelope, self._now())
        if self.faults.locks_after and self.login.refused_total >= self.faults.locks_after:
            return _refuse(400, "NotAuthorized", "This account is locked for 30 minutes")
        if verdict is Verdict.GOOD:
            return None
        if verdict is not Verdict.NONE:
            log.get("simulated-camera").warning("login refused", by="onvif")
        if verdict is Verdict.BAD_TOKEN or "digest" not in self.login.takes:
            return _refuse(400, "NotAuthorized", "Sender not authorized")
        refusal = _refuse(401, "NotAuthorized", "Sender not authorized")
        return HttpReply(401, refusal.body, headers=self.login.challenges())

    async def _answer_unknown(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        name = etree.QName(operation).localname
        raise SoapRefusal("ActionNotSupported", f"no {name} here", "Receiver")

    async def _answer_device(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        match etree.QName(operation).localname:
            case "GetSystemDateAndTime":
                return answers.date_and_time(self._now())
            case "GetDeviceInformation":
                return answers.device_information(self.config.name, self.config.serial)
            case "GetCapabilities":
                return answers.capabilities(self._urls())
            case "GetServices":
                return answers.services(self._urls())
            case _:
                return answers.scopes(self.config.name)

    async def _answer_media(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        name = etree.QName(operation).localname
        config = self.config
        if name == "GetVideoSources":
            return answers.video_sources(config.main_size_px, config.fps)
        if name == "GetProfiles":  # the small one first: order must mean nothing to clients
            sub = answers.profile("sub", config.sub_size_px, config.fps, has_ptz=config.ptz)
            main = answers.profile("main", config.main_size_px, config.fps, has_ptz=config.ptz)
            return f"<trt:GetProfilesResponse>{sub}{main}</trt:GetProfilesResponse>"
        urls = {"main": config.rtsp_main_url, "sub": config.rtsp_sub_url}
        token = operation.findtext(f"{{{MEDIA}}}ProfileToken", "")
        if token not in urls:
            raise SoapRefusal("NoProfile", "no such profile")
        is_snapshot = name == "GetSnapshotUri"
        return answers.media_uri(
            name, f"{self._base()}/snapshot.jpg" if is_snapshot else urls[token]
        )

    async def _answer_ptz(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        match etree.QName(operation).localname:
            case "GetNodes":
                return answers.ptz_nodes()
            case "GetConfigurations":
                configuration = answers.ptz_configuration("tptz:PTZConfiguration")
                return (
                    "<tptz:GetConfigurationsResponse>"
                    f"{configuration}</tptz:GetConfigurationsResponse>"
                )
            case "ContinuousMove":
                self._move(operation)
                return "<tptz:ContinuousMoveResponse/>"
            case "Stop":
                if self.faults.knows_no_stop:
                    raise SoapRefusal("ActionNotSupported", "no Stop here", "Receiver")
                self.motor.stop()
                return "<tptz:StopResponse/>"
            case _:
                return self._status()

    def _move(self, operation: etree._Element) -> None:
        pan_tilt = operation.find(".//{*}Velocity/{*}PanTilt")
        zoom = operation.find(".//{*}Velocity/{*}Zoom")
        timeout_s = _seconds(operation.findtext(f"{{{PTZ}}}Timeout", "PT10S"))
        self.motor.move(
            None if pan_tilt is None else float(pan_tilt.get("x")),
            None if pan_tilt is None else float(pan_tilt.get("y")),
            None if zoom is None else float(zoom.get("x")),
            None if self.faults.ignores_move_timeout else timeout_s,
        )

    def _status(self) -> str:
        if self.faults.tells_no_position:
            return answers.ptz_status(None, None, self._now())
        at = self.motor.position()
        moving = "MOVING" if self.motor.is_moving else "IDLE"
        return answers.ptz_status((at.pan, at.tilt, at.zoom), moving, self._now())

    async def _create_pull_point(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        now = self._now()
        text = operation.findtext(f"{{{EVENTS}}}InitialTerminationTime", "")
        lifetime_s = _seconds(text) if text.startswith("P") else _LIFETIME_S
        point_id = self.events.subscribe(now, lifetime_s)
        if point_id is None:
            raise SoapRefusal("MaxPullPoints", "no pull point is free", "Receiver")
        url = f"{self._base()}{_POINT_PATH}{point_id}"
        return answers.subscription(url, now, self.events.points[point_id].until)

    async def _pull_messages(self, operation: etree._Element, request: HttpRequest) -> str:
        _, point = self._point(request)
        timeout_s = min(_seconds(operation.findtext(f"{{{EVENTS}}}Timeout", "PT1S")), _LIFETIME_S)
        limit = int(operation.findtext(f"{{{EVENTS}}}MessageLimit", "10"))
        messages = await self.events.pull(point, timeout_s, limit)
        now = self._now()
        point.until = max(point.until, now + timedelta(seconds=_LIFETIME_S))
        return answers.pulled(messages, now, point.until)

    async def _answer_subscription(self, operation: etree._Element, request: HttpRequest) -> str:
        point_id, point = self._point(request)
        match etree.QName(operation).localname:
            case "Renew":
                text = operation.findtext(f"{{{BASE_NOTIFICATION}}}TerminationTime", "PT60S")
                point.until = self._now() + timedelta(seconds=_seconds(text))
                return answers.renewed(self._now(), point.until)
            case "Unsubscribe":
                del self.events.points[point_id]
                return "<wsnt:UnsubscribeResponse/>"
            case _:
                self.events.synchronise(point_id, self._now())
                return "<tev:SetSynchronizationPointResponse/>"

    def _point(self, request: HttpRequest) -> tuple[str, PullPoint]:
        point_id = request.path.rpartition("/")[2]
        point = self.events.points.get(point_id)
        if point is None or point.until < self._now():
            raise SoapRefusal("InvalidArgVal", "no such subscription")
        return point_id, point

    def _urls(self) -> dict[str, str]:
        base = self._base()
        return {
            namespace: base + path
            for namespace, path in _PATHS.items()
            if namespace != PTZ or self.config.ptz
        }

    def _base(self) -> str:
        return self.faults.foreign_xaddr or f"http://{self.config.host}:{self._http.port}"

    def _now(self) -> datetime:
        return self._clock.utc_now().astimezone(UTC) + timedelta(seconds=self.faults.clock_offset_s)


def _refuse(status: int, subcode: str, reason: str, side: str = "Sender") -> HttpReply:
    return HttpReply(status, answers.envelope(answers.fault(side, subcode, reason)))


def _seconds(text: str) -> float:
    """Read an xs:duration without months, such as "PT1M0.5S"."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise SoapRefusal("InvalidArgVal", f"{text!r} is no duration")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
