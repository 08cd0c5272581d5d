"""`CameraControl` over `ONVIFService` (device, PTZ); media by hand; our own transport.

Imported only when the first ONVIF camera is spoken to, as zeep and lxml cost 20 MB. Runs in the
threads of `agent.cameras.gate`. Nothing a camera says is trusted: each part may be missing.
"""

import threading
from dataclasses import dataclass, replace
from typing import Any

import zeep.exceptions
from lxml import etree

from agent.cameras import media
from agent.cameras.bounded_http import Answer, within_s
from agent.cameras.door import Door, stopping
from agent.cameras.line import OPERATION_S, OnvifLine, Service
from agent.cameras.onvif_service import onvif_service
from agent.cameras.port import (
    CameraBadResponse,
    CameraNotSupported,
    DeviceFacts,
    Login,
    PtzPosition,
    StreamProfile,
)
from agent.cameras.soap import CALL_S, SoapLink
from agent.cameras.soap_answer import answered, with_declared_prefixes
from agent.cameras.tls import CameraTls
from agent.core.clock import Clock

_QUICK_S = 1.0  # a time that was so long on its way is none

# What zeep raises on answers that are XML but not the XML it expected.
_MISREADINGS = (
    zeep.exceptions.Error,
    etree.LxmlError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
)


@dataclass(frozen=True, slots=True)
class _Services:
    device: Any
    ptz: Any


@dataclass(frozen=True, slots=True)
class _PtzProfile:
    token: str
    has_zoom: bool


class ZeepCamera:
    """One camera. Connects by itself at the first call; an operation ends within `operation_s`."""

    def __init__(
        self,
        device_url: str,
        login: Login | Door,
        clock: Clock,
        *,
        call_s: float = CALL_S,
        operation_s: float = OPERATION_S,
        tls: CameraTls | None = None,
    ) -> None:
        self.line = OnvifLine(
            device_url, login, clock, call_s=call_s, operation_s=operation_s, tls=tls
        )
        self._link = self.line.link
        self._clock, self._operation_s = clock, operation_s
        self._connecting = threading.Lock()
        self._services: _Services | None = None
        self._ptz_profile: _PtzProfile | None = None
        self._knows_stop = True

    def facts(self) -> DeviceFacts:
        with within_s(self._clock, self._operation_s):
            self.line.forget_services()  # it may have changed; Stop uses the old meanwhile
            services = self._connect()
            info = _ask(services.device, "GetDeviceInformation")
            ptz_profile = self._find_ptz_profile(services)
            self._services, self._ptz_profile, self._knows_stop = services, ptz_profile, True
            return DeviceFacts(
                manufacturer=_text(info, "Manufacturer"),
                model=_text(info, "Model"),
                firmware=_text(info, "FirmwareVersion"),
                serial=_text(info, "SerialNumber"),
                has_ptz=ptz_profile is not None,
            )

    def profiles(self) -> tuple[StreamProfile, ...]:
        with within_s(self._clock, self._operation_s):
            return tuple(profile.stream for profile in media.profiles(self.line))

    def stream_url(self, profile_token: str) -> str:
        with within_s(self._clock, self._operation_s):
            return media.stream_url(self.line, profile_token)

    def move(self, pan: float, tilt: float, zoom: float, timeout_s: float) -> None:
        with within_s(self._clock, self._operation_s):
            ptz, profile = self._ptz()
            velocity: dict[str, Any] = {"PanTilt": {"x": pan, "y": tilt}}
            if profile.has_zoom or zoom:
                velocity["Zoom"] = {"x": zoom}
            _ask(
                ptz,
                "ContinuousMove",
                ProfileToken=profile.token,
                Velocity=velocity,
                Timeout=f"PT{timeout_s:.3f}S",
            )

    def stop(self) -> None:
        with stopping(), within_s(self._clock, self._operation_s):
            ptz, profile = self._ptz()
            if self._knows_stop:
                try:
                    _ask(ptz, "Stop", ProfileToken=profile.token, PanTilt=True, Zoom=True)
                except CameraNotSupported:
                    self._knows_stop = False
                except CameraBadResponse:
                    pass  # an empty 200 or an odd fault: say it the other way too
                else:
                    return
            self.move(0.0, 0.0, 0.0, 1.0)

    def position(self) -> PtzPosition:
        with within_s(self._clock, self._operation_s):
            ptz, profile = self._ptz()
            status = _ask(ptz, "GetStatus", ProfileToken=profile.token)
            return _position(status)

    def clock_ahead_s(self) -> float | None:
        with within_s(self._clock, self._operation_s):
            reading = self._link.measure_clock()
            return reading.ahead_s if reading.trip_s <= _QUICK_S else None

    def change_login(self, login: Login) -> None:
        self._link.change_login(login)

    def close(self) -> None:
        self._link.close()

    def _connected(self) -> _Services:
        services = self._services
        if services is not None:
            return services
        with self._connecting:
            if self._services is None:
                self._services = self._connect()
            return self._services

    def _connect(self) -> _Services:
        device = self._service("devicemgmt.wsdl", f"{{{Service.DEVICE}}}DeviceBinding", "")
        ptz_url = self.line.services().get(Service.PTZ)
        binding = f"{{{Service.PTZ}}}PTZBinding"
        ptz = self._service("ptz.wsdl", binding, ptz_url) if ptz_url else None
        return _Services(device, ptz)

    def _service(self, wsdl: str, binding: str, url: str) -> Any:
        url = url or self._link.device_url
        return onvif_service(wsdl, binding, url, _Transport(self._link))

    def _find_ptz_profile(self, services: _Services) -> _PtzProfile | None:
        """Return the first profile that can be moved; they all share the one head."""
        for profile in media.profiles(self.line) if services.ptz is not None else ():
            if profile.ptz_token:
                return _PtzProfile(profile.stream.token, profile.has_zoom)
        return None

    def _ptz(self) -> tuple[Any, _PtzProfile]:
        services = self._connected()
        if self._ptz_profile is None:
            self._ptz_profile = self._find_ptz_profile(services)
        if self._ptz_profile is None:
            raise CameraNotSupported("the camera cannot be moved")
        return services.ptz, self._ptz_profile


class _Transport:
    """What zeep sends through: envelopes go over our own line."""

    def __init__(self, link: SoapLink) -> None:
        self._link = link

    def post_xml(self, address: str, envelope: Any, headers: dict[str, str]) -> Answer:
        body: bytes = etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
        answer = self._link.call(address, body, headers["Content-Type"])
        content = with_declared_prefixes(answer.content)
        asked = etree.QName(envelope.find("{*}Body")[0])
        # zeep reads anything at all as an empty answer, but trips over an empty body
        if answered(content, asked.localname).getparent() is None:
            done = etree.fromstring(body)
            done[-1][:] = [etree.Element(f"{{{asked.namespace}}}{asked.localname}Response")]
            content = etree.tostring(done)
        return replace(answer, content=content)


def _ask(service: Any, operation: str, **parts: Any) -> Any:
    try:
        return getattr(service, operation)(**parts)
    except _MISREADINGS as error:
        text = f"the answer to {operation} makes no sense ({type(error).__name__})"
        raise CameraBadResponse(text) from error


def _part(value: Any, *names: str) -> Any:
    for name in names:
        value = getattr(value, name, None)
    return value


def _text(value: Any, name: str) -> str:
    found = getattr(value, name, None)
    return str(found).strip() if found is not None else ""


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _position(status: Any) -> PtzPosition:
    moves = [_text(_part(status, "MoveStatus"), axis).upper() for axis in ("PanTilt", "Zoom")]
    known = [move for move in moves if move in ("IDLE", "MOVING")]
    return PtzPosition(
        pan=_number(_part(status, "Position", "PanTilt", "x")),
        tilt=_number(_part(status, "Position", "PanTilt", "y")),
        zoom=_number(_part(status, "Position", "Zoom", "x")),
        is_moving="MOVING" in known if known else None,
        space=_text(_part(status, "Position", "PanTilt"), "space"),
    )
