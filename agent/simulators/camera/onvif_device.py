"""A simulated ONVIF camera: the SOAP side of what `rtsp_server` shows, with faults to switch on.

It answers Device, DeviceIO, Media 1 and 2, PTZ and Events as ONVIF writes them (checked by foreign
clients), and lies like real cameras when told to by `OnvifFaults`. Runs in the simulator's process.
"""

import asyncio
import base64
import re
import ssl
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from lxml import etree

from agent.core import log
from agent.core.clock import Clock
from agent.simulators.camera import onvif_answers as answers
from agent.simulators.camera.onvif_answers import (
    DEVICE,
    DEVICE_IO,
    EVENTS,
    IMAGING,
    MEDIA,
    MEDIA2,
    PTZ,
)
from agent.simulators.camera.onvif_discovery import DiscoveryResponder
from agent.simulators.camera.onvif_events import MOTION, EventSource, in_dialect
from agent.simulators.camera.onvif_http import HttpReply, HttpRequest, HttpServer
from agent.simulators.camera.onvif_imaging import ImagingService
from agent.simulators.camera.onvif_login import LoginCheck, Verdict
from agent.simulators.camera.onvif_media import SNAPSHOT_PATH, MediaService
from agent.simulators.camera.onvif_ptz import PtzService
from agent.simulators.camera.onvif_service import Operations, SoapRefusal
from agent.simulators.camera.onvif_settings import OnvifDeviceConfig, OnvifFaults
from agent.simulators.camera.onvif_subscriptions import SubscriptionService
from agent.simulators.camera.onvif_system import SystemService
from agent.simulators.camera.ptz_motor import PtzMotor

_PRE_AUTH = {
    "GetSystemDateAndTime",
    "GetServices",
    "GetCapabilities",
    "GetServiceCapabilities",
    "GetHostname",
    "GetEndpointReference",
}
_PATHS = {
    DEVICE: "/onvif/device_service",
    MEDIA2: "/onvif/media2_service",
    MEDIA: "/onvif/media_service",
    PTZ: "/onvif/ptz_service",
    EVENTS: "/onvif/event_service",
    DEVICE_IO: "/onvif/deviceio_service",
    IMAGING: "/onvif/imaging_service",
}
_ADDRESSING = "{http://www.w3.org/2005/08/addressing}"
_SCHEMA_PREFIX = re.compile(rb'xmlns:tt="[^"]*"')
_OPTIONAL = re.compile(
    rb"<tt:(RateControl|H264|Info|Position|MoveStatus|Bounds|MessageDescription)\b[^>]*>.*?</tt:\1>",
    re.DOTALL,
)
_HUGE_BYTES = 8 * 1024 * 1024
_FOR_EVER_S = 3600.0
_DRIP_S = 0.1
_STORM_LOOK_S = 0.5
_PICTURE = base64.b64decode(  # one grey pixel, JPEG
    "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////"
    "////////////////////////////wgALCAABAAEBAREA/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPxA="
)


class OnvifDevice:
    """One camera; `serve` until cancelled, wait for `ready`, then it is at `url`."""

    def __init__(self, config: OnvifDeviceConfig, motor: PtzMotor, clock: Clock) -> None:
        self.config, self.motor, self.clock = config, motor, clock
        self.faults = OnvifFaults()
        self.login = LoginCheck(config.username, config.password, realm=config.realm)
        self.logins_seen = 0  # requests that carried one, in any way
        self.events = EventSource(clock, config.max_pull_points)
        self.calls: list[str] = []  # names of operations answered, for tests
        self.epr = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, config.serial + config.mac)}"
        self._tls = _tls(config)
        self._http = HttpServer(config.host, config.port, self._answer, clock, self._tls)
        self._beside = HttpServer(config.host, 0, self._answer, clock, self._tls)
        self.ready = self._http.ready
        self._rebooting: tuple[float, str, bool] | None = None
        self._reboot_asked = asyncio.Event()
        self.media = MediaService(self)
        self.head, self.imaging = PtzService(self, motor), ImagingService(self)
        self.system = SystemService(
            self, self.login, self._urls, lambda: self.epr, self.reboot, self._tell_relay
        )
        self._subscriptions = SubscriptionService(self, self.events, lambda: self._beside.port)
        self._operations = self._table()
        scopes = answers.scope_names(config.name, config.mac)
        self._discovery = DiscoveryResponder(config.host, config.discovery_port, scopes)

    @property
    def url(self) -> str:
        """The address of the device service."""
        return f"{self._own_base()}{_PATHS[DEVICE]}"

    async def serve(self) -> None:
        """Be there; after `reboot` be away for a while and come back as told."""
        while True:
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(work)
                    for work in (
                        self._http.serve(),
                        self._beside.serve(),
                        self._subscriptions.push(self.clock),
                        self._storm(),
                        self._be_found(),
                    )
                ]
                await self._reboot_asked.wait()
                for task in running:
                    task.cancel()
            await self._be_away()

    def reboot(
        self, away_s: float = 1.0, *, host: str = "", moves: bool = False, new_epr: bool = False
    ) -> None:
        """Go away, forget subscriptions, come back: at another host or port, with another id."""
        self._rebooting = (away_s, host, moves)
        if new_epr:
            self.epr = f"urn:uuid:{uuid.uuid4()}"
        self._reboot_asked.set()

    def change_certificate(self, certificate: str, key: str) -> None:
        """Show another certificate from the next connection on."""
        if self._tls is not None:
            self._tls.load_cert_chain(certificate, key)

    def fire(self, topic: str, source: Mapping[str, str], data: Mapping[str, str]) -> None:
        """Send an event to all subscribers, such as the bell's digital input."""
        if self.faults.never_ends and topic == MOTION and "false" in data.values():
            return
        told = in_dialect(self.faults.dialect, topic, source, data)
        self.events.fire(*told, self.now())

    def now(self) -> datetime:
        now = self.clock.utc_now().astimezone(UTC)
        return now + timedelta(seconds=self.faults.clock_offset_s)

    def base(self) -> str:
        return self.faults.foreign_xaddr or self._own_base()

    def _own_base(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{self._http.host}:{self._http.port}"

    def _urls(self) -> dict[str, str]:
        left_out = {PTZ} - ({PTZ} if self.config.ptz else set())
        left_out |= set() if self.config.media2 else {MEDIA2}
        base = self.base()
        return {name: base + path for name, path in _PATHS.items() if name not in left_out}

    def _table(self) -> Operations:
        table = self.system.operations()
        for service in (self.media, self.imaging, self._subscriptions):
            table |= service.operations()
        if self.config.ptz:
            table |= self.head.operations()
        return table

    async def _be_away(self) -> None:
        away_s, host, moves = self._rebooting or (0.0, "", False)
        self._reboot_asked.clear()
        self.events.forget_all()
        await self.clock.sleep_s(away_s)
        if host:
            self._http.host = self._beside.host = host
        if moves:
            self._http.take_other_port()
        self._rebooting = None

    async def _be_found(self) -> None:
        if not self.config.discovery_port:
            return
        await self.ready.wait()
        self._discovery.epr, self._discovery.url = self.epr, f"{self.base()}{_PATHS[DEVICE]}"
        try:
            await self._discovery.open(self._http.host)
            self._discovery.hello()
            await self.clock.sleep_s(_FOR_EVER_S)
        finally:
            self._discovery.bye()
            self._discovery.close()

    async def _storm(self) -> None:
        number = 0
        while True:
            per_s = self.faults.storm_per_s
            if per_s > 0:
                number += 1
                on = "true" if number % 2 else "false"
                self.fire(MOTION, {"VideoSourceConfigurationToken": "source"}, {"IsMotion": on})
            await self.clock.sleep_s(1.0 / per_s if per_s > 0 else _STORM_LOOK_S)

    def _tell_relay(self, token: str, active: bool) -> None:
        state = "active" if active else "inactive"
        self.fire("tns1:Device/Trigger/Relay", {"RelayToken": token}, {"LogicalState": state})

    async def _answer(self, request: HttpRequest) -> HttpReply:
        faults = self.faults
        self._see_login(request)
        if faults.silent:
            await self.clock.sleep_s(_FOR_EVER_S)
        if faults.html_401:
            return HttpReply(401, b"<html><body>Unauthorized</body></html>", "text/html")
        if faults.huge_body:
            return HttpReply(200, answers.envelope("<x>" + "y" * _HUGE_BYTES + "</x>"))
        if faults.empty_200:
            return HttpReply(200)
        if faults.fault_status:
            return _refuse(faults.fault_status, "Action", "this camera has a bad day", "Receiver")
        if request.method == "GET":
            return self._answer_file(request)
        reply = await self._answer_soap(request)
        date = () if faults.hides_clock else (("Date", format_datetime(self.now(), usegmt=True)),)
        return replace(
            reply,
            body=self._damaged(reply.body),
            headers=(*date, *reply.headers),
            drip_s=_DRIP_S if faults.drips else reply.drip_s,
        )

    def _see_login(self, request: HttpRequest) -> None:
        if "authorization" in request.headers or b"UsernameToken" in request.body:
            self.logins_seen += 1

    def _damaged(self, body: bytes) -> bytes:
        if self.faults.undeclared_prefix:
            body = _SCHEMA_PREFIX.sub(b"", body)
        if self.faults.omits_optional:
            body = _OPTIONAL.sub(b"", body)
        if self.faults.unquoted_attribute:
            body = re.sub(rb'token="([^"]*)"', rb"token=\1", body)
        if self.faults.year:
            year = f"<tt:Year>{self.faults.year}</tt:Year>".encode()
            body = re.sub(rb"<tt:Year>\d+</tt:Year>", year, body)
        return body

    def _answer_file(self, request: HttpRequest) -> HttpReply:
        if request.path != SNAPSHOT_PATH:
            return HttpReply(404)
        if not self.login.opens_file(request, self.faults.snapshot_login):
            is_basic = self.faults.snapshot_login == "basic"
            basic = (("WWW-Authenticate", f'Basic realm="{self.config.realm}"'),)
            return HttpReply(401, headers=basic if is_basic else self.login.challenges())
        if self.faults.snapshot_is_html:
            return HttpReply(200, b"<html>no picture</html>", "image/jpeg")
        return self._spoilt("GET", HttpReply(200, _PICTURE, "image/jpeg"))

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
        await self.clock.sleep_s(self.faults.slow_s.get(name.localname, 0.0))
        try:
            body = await handler(operation, request)
        except (ValueError, OverflowError):
            return _refuse(400, "InvalidArgVal", "this is no number")
        except SoapRefusal as error:
            return _refuse(
                400 if error.side == "Sender" else 500, error.subcode, error.reason, error.side
            )
        message_id = envelope.findtext(f".//{_ADDRESSING}MessageID")
        action = f"{envelope.findtext(f'.//{_ADDRESSING}Action')}Response"
        header = answers.relates_to(message_id, action) if message_id else ""
        return self._spoilt(name.localname, HttpReply(200, answers.envelope(body, header)))

    def _spoilt(self, operation: str, good: HttpReply) -> HttpReply:
        spoil = self.faults.spoils.get(operation)
        return good if spoil is None else spoil(good)

    def _refusal(
        self, request: HttpRequest, envelope: etree._Element, operation: str
    ) -> HttpReply | None:
        if operation in _PRE_AUTH and not (
            self.faults.hides_clock and operation == "GetSystemDateAndTime"
        ):
            return None
        self.login.nonce_once = self.faults.nonce_once
        self.login.refuses_digest = self.faults.refuses_digest
        verdict = self.login.judge(request, envelope, self.now())
        if self.faults.locks_after and self.login.refused_total >= self.faults.locks_after:
            return _refuse(400, "NotAuthorized", "This account is locked for 30 minutes")
        if verdict is Verdict.GOOD:
            return None
        if verdict in (Verdict.BAD_DIGEST, Verdict.BAD_TOKEN):
            log.get("simulated-camera").warning("login refused", by="onvif")
        if verdict is Verdict.BAD_TOKEN or "digest" not in self.login.takes:
            return _refuse(400, "NotAuthorized", "Sender not authorized")
        refusal = _refuse(401, "NotAuthorized", "Sender not authorized")
        challenges = self.login.challenges(is_stale=verdict is Verdict.STALE)
        return HttpReply(401, refusal.body, headers=challenges)

    async def _answer_unknown(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        name = etree.QName(operation).localname
        raise SoapRefusal("ActionNotSupported", f"no {name} here", "Receiver")


def _refuse(status: int, subcode: str, reason: str, side: str = "Sender") -> HttpReply:
    return HttpReply(status, answers.envelope(answers.fault(side, subcode, reason)))


def _tls(config: OnvifDeviceConfig) -> ssl.SSLContext | None:
    if config.tls_files is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*config.tls_files)
    return context
